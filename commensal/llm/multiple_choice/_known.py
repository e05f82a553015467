"""Well-known question sets by name, and the settings of any questions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from commensal.llm.multiple_choice._configs import FileQuestions, HubQuestions, MadeUpQuestions

# Of repositories that hold a loading script, which datasets no longer runs, the Hub's own
# conversion. Shots as in Table 2 of the paper; it used MMLU, WinoGrande, MathQA and SIQA.
_CONVERTED = "refs/convert/parquet"

QUESTIONS: dict[str, HubQuestions] = {
    "mmlu": HubQuestions(
        name="mmlu",
        dataset="cais/mmlu",
        subset="all",
        prompt="Question: {question}\nAnswer:",
        choices=("choices",),
        answer="answer",
        shots=5,
        shots_split="dev",
    ),
    "winogrande": HubQuestions(
        name="winogrande",
        dataset="allenai/winogrande",
        subset="winogrande_xl",
        revision=_CONVERTED,
        prompt="sentence",
        choices=("option1", "option2"),
        answer="answer",
        first=1,
        blank="_",
        shots=5,
        shots_split="train",
    ),
    "mathqa": HubQuestions(
        name="mathqa",
        dataset="allenai/math_qa",
        revision=_CONVERTED,
        prompt="Question: {Problem}\nAnswer:",
        choices=("options",),
        answer="correct",
    ),
    "siqa": HubQuestions(
        name="siqa",
        dataset="allenai/social_i_qa",
        revision=_CONVERTED,
        prompt="Q: {context} {question}\nA:",
        choices=("answerA", "answerB", "answerC"),
        answer="label",
        first=1,
    ),
    "openbookqa": HubQuestions(
        name="openbookqa",
        dataset="allenai/openbookqa",
        subset="main",
        prompt="question_stem",
        choices=("choices",),
        answer="answerKey",
    ),
}
"""Settings of well-known sets of questions, by name."""


def _named(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in QUESTIONS:
        raise ValueError(f"there are no questions {value!r}; known: {', '.join(QUESTIONS)}")
    return QUESTIONS[value]


QuestionsConfig = Annotated[
    Annotated[MadeUpQuestions | FileQuestions | HubQuestions, Field(discriminator="kind")],
    BeforeValidator(_named),
]
"""Settings of questions of any kind; a name alone is one of :data:`QUESTIONS`."""
