"""tests/ mirrors src/: who looks for the tests of a module finds them under its name."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "opinioncast"
TESTS = ROOT / "tests"

ELSEWHERE: dict[str, str] = {
    # a service of the OpenAI kind is one thing to a test: asked through its front, over HTTP
    "backends/api.py": "backends/test_api_backend.py",
    "backends/api_answers.py": "backends/test_api_backend.py",
    "backends/api_client.py": "backends/test_api_faults.py",
    "backends/api_limits.py": "backends/test_api_faults.py",
    "backends/api_service.py": "backends/test_api_backend.py",
    "backends/api_settings.py": "backends/test_api_backend.py",
    "backends/vllm_settings.py": "backends/test_vllm_backend.py",
    # against a plain forward pass, whole
    "backends/low_rank.py": "finetune/test_packed_step.py",
    "backends/packed_forward.py": "backends/test_torch_backend.py",
    "backends/prompt_tokens.py": "finetune/test_packing.py",
    "backends/protocol.py": "backends/test_generation.py",
    # commands hold no logic: run beside the job they call
    "__main__.py": "cli/test_main.py",
    "cli/evaluate.py": "jobs/test_evaluate.py",
    "cli/input_use.py": "jobs/test_input_use.py",
    "cli/predict.py": "cli/test_main.py",
    "cli/train_community.py": "jobs/test_train_community.py",
    "cli/train_network.py": "cli/test_predict_methods.py",
    # parts of a recipe, seen through the curation they make
    "curate/coding.py": "curate/test_r_survey.py",
    "curate/filters.py": "curate/test_select.py",
    "curate/question_map.py": "curate/test_overlap.py",
    "curate/review.py": "curate/test_refine.py",
    "curate/scale_file.py": "curate/test_ordinality.py",
    "curate/sources.py": "curate/test_recipe.py",
    "curate/subjects.py": "curate/test_select.py",
    "curate/wording_rules.py": "curate/test_refine.py",
    "evaluate/coverage.py": "evaluate/test_scores.py",
    # whole runs on tiny models
    "finetune/base.py": "finetune/test_finetune.py",
    "finetune/card.py": "finetune/test_finetune.py",
    "finetune/community.py": "jobs/test_train_community.py",
    "finetune/model.py": "finetune/test_packed_step.py",
    "finetune/trainer.py": "finetune/test_finetune.py",
    "finetune/validation.py": "finetune/test_finetune.py",
    "jobs/finetune.py": "finetune/test_finetune.py",
    "jobs/evaluation_inputs.py": "jobs/test_evaluate.py",
    # the composition, through the call and the command
    "jobs/backends.py": "cli/test_backend_options.py",
    "jobs/community_modules.py": "jobs/test_train_community.py",
    "jobs/methods.py": "cli/test_predict_methods.py",
    "jobs/parts.py": "cli/test_backend_options.py",
    "jobs/predict.py": "cli/test_main.py",
    # parts of a method, through the method
    "methods/asking.py": "methods/test_zero_shot.py",
    "methods/embedding_features.py": "methods/test_embedding_network.py",
    "methods/embedding_files.py": "methods/test_embedding_network.py",
    "methods/embedding_model.py": "methods/test_embedding_network.py",
    "methods/embedding_rows.py": "methods/test_embedding_network.py",
    "methods/embedding_training.py": "methods/test_embedding_network.py",
    "methods/label_answers.py": "methods/test_zero_shot.py",
    "methods/neighbours.py": "methods/test_baselines.py",
    "methods/prediction.py": "methods/test_blend.py",
    "methods/scale_map.py": "methods/test_baselines.py",
    # texts, against golden files
    "prompts/few_shot.py": "prompts/test_golden.py",
    "prompts/multiple_choice.py": "prompts/test_golden.py",
    "prompts/pluralism.py": "prompts/test_golden.py",
    "prompts/steering.py": "prompts/test_golden.py",
    # readers, against files of every format and institution
    "readers/anes.py": "readers/test_microdata.py",
    "readers/atp.py": "readers/test_institutions.py",
    "readers/codebook.py": "readers/test_microdata.py",
    "readers/conventions.py": "readers/test_microdata.py",
    "readers/describe.py": "readers/test_microdata.py",
    "readers/gss.py": "readers/test_microdata.py",
    "readers/opinionqa.py": "readers/test_institutions.py",
    "readers/raw.py": "readers/test_microdata.py",
    "readers/spss_stata.py": "readers/test_microdata.py",
    "readers/tabular.py": "readers/test_microdata.py",
    # figures, several kinds against the same rules
    "report/curve_chart.py": "report/test_dot_chart.py",
    "report/figure_files.py": "report/test_evaluation_figures.py",
    "report/group_chart.py": "report/test_evaluation_figures.py",
    "report/group_labels.py": "report/test_evaluation_figures.py",
    "report/heatmap.py": "report/test_evaluation_figures.py",
    "report/interactive.py": "report/test_dot_chart.py",
    "report/scaling_chart.py": "report/test_evaluation_figures.py",
    # steps of a reproduction, through runs of recipes
    "reproduce/context.py": "reproduce/test_workshop.py",
    "reproduce/figure_outputs.py": "reproduce/test_run.py",
    "reproduce/improvement_outputs.py": "reproduce/test_result.py",
    "reproduce/lock.py": "reproduce/test_run.py",
    "reproduce/method_outputs.py": "reproduce/test_result.py",
    "reproduce/models.py": "reproduce/test_run.py",
    "reproduce/prompting.py": "reproduce/test_workshop.py",
    "reproduce/setting.py": "reproduce/test_recipe.py",
}
"""Modules without a test file of their own -> where they are tested. To be shortened, not grown."""


def modules() -> list[str]:
    files = (f for f in SOURCE.rglob("*.py") if f.name != "__init__.py")
    return sorted(f.relative_to(SOURCE).as_posix() for f in files)


def own_test(module: str) -> Path:
    path = Path(module)
    return TESTS / path.parent / f"test_{path.name}"


def test_every_module_has_its_tests() -> None:
    bare = [m for m in modules() if not own_test(m).is_file() and m not in ELSEWHERE]
    assert not bare, (
        f"without a test file: {bare}. Write tests/FOLDER/test_NAME.py, or say in ELSEWHERE where "
        "the module is tested"
    )


@pytest.mark.parametrize("module", sorted(ELSEWHERE))
def test_what_is_tested_elsewhere_is(module: str) -> None:
    assert (SOURCE / module).is_file(), f"{module} is gone: take it out of ELSEWHERE"
    assert not own_test(module).is_file(), f"{module} has tests of its own: take it out"
    assert (TESTS / ELSEWHERE[module]).is_file()


def test_every_folder_of_tests_is_one_of_the_source() -> None:
    folders = {f.parent.relative_to(TESTS).as_posix() for f in TESTS.rglob("test_*.py")}
    assert {f for f in folders if not (SOURCE / f).is_dir()} == set()
