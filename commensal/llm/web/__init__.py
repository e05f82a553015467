"""A web that models read and write: retrieval in place of training (paper `webdynamics`).

``store`` holds what is on the web, ``cast`` opens the models of each replicate, ``local`` and
``endpoint`` answer, ``answers`` judges what servers send and ``cache`` keeps it, ``measures`` says
how far the models are apart, ``law`` how far they would be had they learnt perfectly, ``run`` goes
through Algorithm 1, ``records`` writes what it has measured and ``reading`` reads it.
Importing this package needs no torch.
"""

from commensal.llm.web.reading import distances

__all__ = ["distances"]
