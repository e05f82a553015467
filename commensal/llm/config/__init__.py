"""Settings of a run, with their defaults and allowed values.

Reading a configuration needs no torch, so that a wrong one is refused at once.
"""

from __future__ import annotations

import importlib
import pkgutil

from commensal.llm.config._endpoint import BadAnswer, EndpointModel
from commensal.llm.config._evolution import Arm, EvolutionConfig
from commensal.llm.config._experiment import ExperimentConfig
from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._interactive import InteractiveConfig
from commensal.llm.config._judges import JudgeConfig, LawJudge, ModelJudge
from commensal.llm.config._parts import (
    Count,
    LoraConfig,
    MeasurementConfig,
    ModelConfig,
    OptimisationConfig,
    PretrainedModel,
    SamplingConfig,
    ScratchModel,
    Settings,
    Share,
    TrainingConfig,
)
from commensal.llm.config._posts import FilePosts, LanguagePosts, TextPosts
from commensal.llm.config._registry import WORKFLOWS, part, validated
from commensal.llm.config._remedies import Detector, Diverse, NearDuplicates, RemediesConfig, Remedy
from commensal.llm.config._retrieval import (
    PopularRetrieval,
    RecentRetrieval,
    Shelf,
    SimilarRetrieval,
    UniformRetrieval,
)
from commensal.llm.config._run import TrainedConfig
from commensal.llm.config._segmented import SegmentedConfig
from commensal.llm.config._segments import hill_shannon, segment_counts
from commensal.llm.config._single import SingleConfig
from commensal.llm.config._spelling import explained
from commensal.llm.config._web import WebConfig
from commensal.llm.config._web_models import LanguageModel, LocalModel
from commensal.llm.config._web_settings import Embedding

# A workflow is there as soon as its module is.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "WORKFLOWS",
    "Arm",
    "BadAnswer",
    "Count",
    "Detector",
    "Diverse",
    "Embedding",
    "EndpointModel",
    "EvolutionConfig",
    "ExperimentConfig",
    "FilePosts",
    "GridPoint",
    "InteractiveConfig",
    "JudgeConfig",
    "LanguageModel",
    "LanguagePosts",
    "LawJudge",
    "LocalModel",
    "LoraConfig",
    "MeasurementConfig",
    "ModelConfig",
    "ModelJudge",
    "NearDuplicates",
    "OptimisationConfig",
    "PopularRetrieval",
    "PretrainedModel",
    "RecentRetrieval",
    "RemediesConfig",
    "Remedy",
    "SamplingConfig",
    "ScratchModel",
    "SegmentedConfig",
    "Settings",
    "Share",
    "Shelf",
    "SimilarRetrieval",
    "SingleConfig",
    "TextPosts",
    "TrainedConfig",
    "TrainingConfig",
    "UniformRetrieval",
    "WebConfig",
    "explained",
    "hill_shannon",
    "part",
    "segment_counts",
    "validated",
]
