"""Premises that claims rest on: one registry, a plain sentence for each."""

from __future__ import annotations

from collections.abc import Mapping

NONE = ("none",)
"""Said of a claim that rests on no premise, or whose printed form fails under all of its own."""

PREMISES: Mapping[str, str] = {
    # what is learnt, and how
    "linear least squares": "Models are linear, and fitted by weighted least squares.",
    "trained to the minimum": "Every generation trains to the minimiser of its loss.",
    "limited training": "Every generation takes a limited number of gradient steps.",
    "one truth": "All data answer with one and the same true parameter.",
    "one number": "One number is estimated.",
    "equal noise": "Responses of humans and of models have independent noise of one variance.",
    "full-rank Gram matrices": "What the models train on has full rank.",
    "isotropic data": "All Gram matrices are multiples of the identity.",
    "Gaussian designs": "Features are drawn from a normal law.",
    "ranks with room": "The ranks of all datasets add up to at most the dimension.",
    "equal sizes": "All datasets have the same number of points.",
    "same real data": "All models have the same real data.",
    "same features": "Humans and the last model label the same features.",
    "many dimensions": "The number of dimensions is large.",
    # who reads what
    "one model": "There is one model.",
    "many models": "The number of models is large.",
    "all read alike": "Everybody reads everybody alike.",
    "models weigh alike": "All models give their data the same weights.",
    "each rereads itself": "Each model that is read reads itself, too.",
    "normal network": "The reading network commutes with its transpose.",
    "diagonalisable network": "The reading network has a basis of eigenvectors.",
    "constant weights": "The weights of data are the same in every generation.",
    "web counts": "New data have a positive weight (α > 0).",
    "real data count": "Real data have a positive weight (α < 1).",
    "private data count": "Private data have a positive weight (β > 0).",
    "stable": "Errors die out: the spectral radius of Q is below one.",
    "real eigenvalue": "The growth is that of a real eigenvalue.",
    # what is asked
    "fixed prompts": "Models answer the same prompts in every generation.",
    "prompts from real data": "Prompts mix features of a model's private and of the public data.",
    "prompts touch what is known": "Prompts are not orthogonal to what the models have learnt.",
    "prompts drawn anew": "Prompts or features are drawn anew, independently, in every generation.",
    "no preferred direction": "The law of prompts is the same in every direction.",
    # memory and human data
    "last generation only": "What was written before the last generation is not read again.",
    "everything kept": "All that was ever written is kept and read.",
    "window kept": "The last few generations are kept and read.",
    "no human data later": "Nothing human is read after the first generation.",
    "fresh human data": "New human data come in every generation.",
    "rich human data": "Human data cover every direction that the web covers, to a known share.",
    "same human law": "Human data follow the same law in every generation.",
    # sampling
    "Gaussian laws": "All points are independent draws from normal laws.",
    "unbiased variance": "The variance is estimated without bias.",
    "maximum likelihood": "The variance is estimated by maximum likelihood.",
    "many points": "The numbers of points, tokens or answers are large.",
    "no sampling noise": "The noise of finite samples can be left out.",
    "one generation": "The statement is about a single generation.",
    "few generations": "The number of generations is small against that of points or tokens.",
    "many generations": "The statement is about the long run.",
    "independent fits": "The fits that are compared have independent data.",
    "independent pairs": "The pairs that are compared are independent samples.",
    "no ties": "No two values are equal.",
    # selection
    "oracle": "What selects knows the distance to the truth.",
    "no signal": "Nothing tells which model is better.",
    "square population": "The number of models is a square number.",
    "near centre": "What a verifier takes for the truth is near what is learnt.",
    "rare best answer": "Humans give the best answer with probability zero.",
    # mixtures
    "separated components": "Components of a mixture are far apart.",
    "two components": "There are two components.",
    "falling steps": "The step of an update is one over the number of points drawn.",
    "at rest": "Models agree in expectation, so that only noise keeps them apart.",
    "no positivity step": "No weight falls so low that it must be lifted.",
    "positive floor": "No weight can fall to zero.",
    "no prior": "The update has no prior (c = 0).",
    "initial web": "There is a web before any model posts.",
    "distinct answers": "No answer is given twice.",
    "draws with replacement": "Points are drawn from the web with replacement.",
    "draws without replacement": "Points are drawn from the web without replacement.",
    "laws are mixed": "A model's law is a mixture of the datasets' laws.",
    "contexts told apart": "Each context has a feature of its own.",
    # words and ecosystems
    "repeats frequencies": "A model repeats the frequencies of what it has read.",
    "word types": "A model is a table of word frequencies, with a memory of its last one.",
    "equal segments": "All models get the same number of tokens.",
    "random segments": "Text is dealt out at random.",
    "segments follow subpopulations": "Each segment of the data is one subpopulation.",
    "fixed budget": "All models together have a fixed number of points or tokens.",
    "distinct models": "No two models are alike.",
    "plain sampling": "Text is drawn from the model's law as it is.",
    "sharpened text": "Writing sharpens the model's law, as low temperatures and beams do.",
    "deterministic language": "Each beginning of a text has one continuation.",
    "quadratic distance": "The distance from the truth is quadratic in the laws.",
    "small memory": "What a model holds on to is small against the tokens that it reads.",
    "frequent types": "Every type is seen many times at first.",
    # what is looked at
    "named settings": "The statement is about the sizes and settings that it names.",
    "printed numbers": "The numbers are those that the document prints.",
    "public profiles": "Fingerprints are the published profiles of 27 models.",
    "weights alike": "Models weigh features alike, whatever their date.",
}
"""Premises by name, each in one sentence."""

FIT = ("linear least squares", "trained to the minimum")
"""Premises of the refit of interactive regression."""
SYSTEM = (*FIT, "fixed prompts", "constant weights", "last generation only")
"""Premises of one matrix Q for all generations."""
UNIFORM = (*SYSTEM, "all read alike")
"""Premises of Q as the paper has it."""
LEMMA = (*UNIFORM, "prompts from real data", "private data count", "real data count")
"""Premises of Lemma 1 of `interactive`."""
ANSWERS = ("one truth", "equal noise")
"""Premises of Theorem 2 of `interactive`, beside those of the refit."""
DEALT = (
    "word types",
    "equal segments",
    "random segments",
    "plain sampling",
    "no human data later",
)
"""Premises of an ecosystem of word types that read each other's text, dealt out anew."""
