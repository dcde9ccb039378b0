"""From a question and a subpopulation to the text a model reads. Knows ``survey``, no backend."""

from opinioncast.prompts.layout import Answers, Layout, Prompt, PromptStyle, build_prompt, orders
from opinioncast.prompts.steering import Format, steering_line, steering_text

__all__ = [
    "Answers",
    "Format",
    "Layout",
    "Prompt",
    "PromptStyle",
    "build_prompt",
    "orders",
    "steering_line",
    "steering_text",
]
