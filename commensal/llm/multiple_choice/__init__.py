"""Multiple-choice questions: made up from a known law, from files, or from the Hub.

`pollination`, app. C and D.3: models are ranked by how many they answer rightly. A model's answer
is the choice that it finds most likely (:mod:`commensal.llm.multiple_choice.answering`, the only
part that needs torch).
"""

from commensal.llm.multiple_choice._configs import FileQuestions, HubQuestions, MadeUpQuestions
from commensal.llm.multiple_choice._known import QUESTIONS, QuestionsConfig
from commensal.llm.multiple_choice._load import Questions, load_questions
from commensal.llm.multiple_choice._made_up import accuracy_of_law
from commensal.llm.multiple_choice._rows import Question

__all__ = [
    "QUESTIONS",
    "FileQuestions",
    "HubQuestions",
    "MadeUpQuestions",
    "Question",
    "Questions",
    "QuestionsConfig",
    "accuracy_of_law",
    "load_questions",
]
