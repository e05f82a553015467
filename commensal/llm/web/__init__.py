"""A web that models read and write: retrieval in place of training (paper `webdynamics`).

``store`` holds what is on the web, ``local`` and ``endpoint`` answer, ``answers`` judges what
servers send and ``cache`` keeps it, ``measures`` says how far the models are apart, ``run`` goes
through Algorithm 1, ``reading`` gives what a run has measured.
Importing this package needs no torch.
"""

from commensal.llm.web.reading import distances

__all__ = ["distances"]
