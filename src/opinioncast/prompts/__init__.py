"""From a question and a subpopulation to the text a model reads. Knows ``survey``, no backend."""

from opinioncast.prompts.layout import Prompt, build_prompt, orders, template_hash
from opinioncast.prompts.prompting import Answers, AskedPrompting, Layout, Prompting
from opinioncast.prompts.steering import Format, steering_line, steering_text

__all__ = [
    "Answers",
    "AskedPrompting",
    "Format",
    "Layout",
    "Prompt",
    "Prompting",
    "build_prompt",
    "orders",
    "steering_line",
    "steering_text",
    "template_hash",
]
