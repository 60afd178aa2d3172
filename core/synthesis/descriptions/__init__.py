"""Descriptions of products and defects: by a vision model behind an OpenAI-compatible endpoint, or measured offline;
and text samples, in which a description stands in for a picture. Everything made here is a suggestion."""

from core.synthesis.descriptions.batches import cancel_batches
from core.synthesis.descriptions.endpoint import Endpoint
from core.synthesis.descriptions.offline import describe_offline
from core.synthesis.descriptions.online import describe
from core.synthesis.descriptions.standins import TextSamples, text_samples
from core.synthesis.descriptions.suggestions import OFFLINE, Failure, Outcome, Suggestion, Usage, merge_knowledge
from core.synthesis.descriptions.wording import DEFAULT_PROMPTS, load_prompts

__all__ = [
    "DEFAULT_PROMPTS", "OFFLINE", "Endpoint", "Failure", "Outcome", "Suggestion", "TextSamples", "Usage",
    "cancel_batches", "describe", "describe_offline", "load_prompts", "merge_knowledge", "text_samples",
]  # fmt: skip
