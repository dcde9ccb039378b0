"""From a question and a subpopulation to the text a model reads. Knows ``survey``, no backend."""

from opinioncast.prompts.layout import Layout, Prompt, PromptStyle, build_prompt, orders
from opinioncast.prompts.steering import Format, steering_line, steering_text

__all__ = [
    "Format",
    "Layout",
    "Prompt",
    "PromptStyle",
    "build_prompt",
    "orders",
    "steering_line",
    "steering_text",
]
