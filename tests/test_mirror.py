"""tests/ mirrors src/: who looks for the tests of a module finds them under its name."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "opinioncast"
TESTS = ROOT / "tests"

ELSEWHERE: dict[str, str] = {
    # a service of the OpenAI kind is one thing to a test: asked through its front, over HTTP
    "backends/api_abilities.py": "backends/test_api_faults.py",
    "backends/api_exchange.py": "backends/test_api_faults.py",
    "backends/api.py": "backends/test_api_backend.py",
    "backends/api_answers.py": "backends/test_api_backend.py",
    "backends/api_client.py": "backends/test_api_faults.py",
    "backends/api_limits.py": "backends/test_api_faults.py",
    "backends/api_service.py": "backends/test_api_backend.py",
    "backends/api_settings.py": "backends/test_api_backend.py",
    "backends/vllm_settings.py": "backends/test_vllm_backend.py",
    "backends/ray_blocks.py": "backends/test_ray_crew.py",
    "backends/ray_settings.py": "backends/test_ray_crew.py",
    "backends/ray_worker.py": "backends/test_ray_crew.py",
    # against a plain forward pass, whole
    "backends/float32_reading.py": "backends/test_packing_families.py",
    "backends/packing_probe.py": "backends/test_packing_families.py",
    "backends/adapter_files.py": "backends/test_adapters.py",
    "backends/peft_adapters.py": "backends/test_adapters.py",
    "backends/model_identity.py": "backends/test_llm_cases.py",
    "backends/low_rank.py": "finetune/test_packed_step.py",
    "backends/packed_forward.py": "backends/test_torch_backend.py",
    "backends/prompt_tokens.py": "finetune/test_packing.py",
    "backends/protocol.py": "backends/test_generation.py",
    # the page is driven whole
    "app/words.py": "app/test_page.py",
    "app/instrument_part.py": "app/test_page.py",
    "app/evidence_part.py": "app/test_page.py",
    "app/run_part.py": "app/test_page.py",
    "app/results_part.py": "app/test_page.py",
    "app/plan_part.py": "app/test_page.py",
    "app/worker.py": "app/test_runs.py",
    "jobs/serve_page.py": "app/test_page.py",
    "cli/app.py": "app/test_page.py",
    # commands hold no logic: run beside the job they call
    "cli/convert.py": "jobs/test_convert.py",
    "cli/division.py": "jobs/test_division.py",
    "cli/export.py": "jobs/test_export.py",
    "finetune/merge.py": "jobs/test_export.py",
    "cli/cache.py": "jobs/test_cache.py",
    "cli/evidence_options.py": "jobs/test_update.py",
    "cli/synthesize.py": "jobs/test_synthesize.py",
    "synthesis/files.py": "jobs/test_synthesize.py",
    "synthesis/people.py": "synthesis/test_plan.py",
    "synthesis/records.py": "jobs/test_synthesize.py",
    "cli/banner.py": "jobs/test_banner.py",
    "cli/estimate.py": "jobs/test_estimate.py",
    "cli/groups.py": "cli/test_main.py",
    "cli/inspect.py": "curate/test_inspect.py",
    "cli/learn_prior.py": "jobs/test_learn_prior.py",
    "cli/methods.py": "jobs/test_listing.py",
    "cli/options.py": "cli/test_backend_options.py",
    "cli/plan.py": "jobs/test_plan.py",
    "cli/update.py": "jobs/test_update.py",
    "jobs/inspect.py": "curate/test_inspect.py",
    "report/inspection.py": "curate/test_inspect.py",
    "report/plan_chart.py": "jobs/test_plan.py",
    "__main__.py": "cli/test_main.py",
    "cli/evaluate.py": "jobs/test_evaluate.py",
    "cli/input_use.py": "jobs/test_input_use.py",
    "cli/predict.py": "cli/test_main.py",
    "cli/train_community.py": "jobs/test_train_community.py",
    "cli/train_network.py": "cli/test_predict_methods.py",
    # parts of a recipe, seen through the curation they make
    "curate/advice.py": "curate/test_inspect.py",
    "curate/guesses.py": "curate/test_inspect.py",
    "curate/inspection.py": "curate/test_inspect.py",
    "curate/oddities.py": "curate/test_inspect.py",
    "curate/starter.py": "curate/test_inspect.py",
    "curate/traits.py": "curate/test_inspect.py",
    "curate/asked_waves.py": "curate/test_asked_groups.py",
    "curate/intervals.py": "curate/test_bands.py",
    "curate/replicates.py": "curate/test_designs.py",
    "curate/coding.py": "curate/test_r_survey.py",
    "curate/filters.py": "curate/test_select.py",
    "curate/question_map.py": "curate/test_overlap.py",
    "curate/review.py": "curate/test_refine.py",
    "curate/scale_file.py": "curate/test_ordinality.py",
    "curate/sources.py": "curate/test_recipe.py",
    "curate/subjects.py": "curate/test_select.py",
    "curate/wording_rules.py": "curate/test_refine.py",
    # one table, through the whole book
    "banners/long.py": "jobs/test_banner.py",
    "banners/columns.py": "banners/test_build.py",
    "banners/distributions.py": "banners/test_significance.py",
    "banners/marks.py": "banners/test_build.py",
    "banners/microdata.py": "banners/test_build.py",
    "banners/settings.py": "banners/test_build.py",
    "banners/table.py": "banners/test_build.py",
    "banners/words.py": "banners/test_build.py",
    # whole runs on tiny models
    "finetune/card.py": "finetune/test_finetune.py",
    "finetune/community.py": "jobs/test_train_community.py",
    "finetune/model.py": "finetune/test_packed_step.py",
    "finetune/trainer.py": "finetune/test_finetune.py",
    "jobs/finetune.py": "finetune/test_finetune.py",
    "jobs/evaluation_inputs.py": "jobs/test_evaluate.py",
    "jobs/evaluation_tables.py": "jobs/test_evaluate.py",
    # the composition, through the call and the command
    "public.py": "test_architecture.py",
    "declarations.py": "predictor/test_declarations.py",
    "options.py": "predictor/test_settings.py",
    "backends/catalogue.py": "predictor/test_declarations.py",
    "backends/declaration.py": "predictor/test_declarations.py",
    "backends/embedded_sentences.py": "backends/test_sentences.py",
    "backends/kinds/api.py": "cli/test_backend_options.py",
    "backends/kinds/ray.py": "backends/test_ray_backend.py",
    "backends/kinds/torch.py": "predictor/test_settings.py",
    "backends/kinds/vllm.py": "cli/test_backend_options.py",
    "backends/reference.py": "cli/test_backend_options.py",
    "methods/declaration.py": "predictor/test_declarations.py",
    "predictor/resources.py": "predictor/test_predictor.py",
    "prompts/prompting.py": "predictor/test_settings.py",
    "report/formats/chart.py": "cli/test_main.py",
    "report/formats/charts.py": "report/test_chart.py",
    "report/banner_page.py": "jobs/test_banner.py",
    "report/formats/disclosure.py": "report/test_workbook.py",
    "report/formats/workbook.py": "report/test_workbook.py",
    "report/workbook_formats.py": "report/test_workbook.py",
    "report/workbook_tables.py": "report/test_workbook.py",
    "report/formats/csv.py": "cli/test_main.py",
    "report/formats/parquet.py": "cli/test_main.py",
    "report/formats/written.py": "predictor/test_declarations.py",
    "report/report.py": "predictor/test_declarations.py",
    # parts of a method, through the method
    "methods/embedding/features.py": "methods/test_embedding_network.py",
    "methods/embedding/files.py": "methods/test_embedding_network.py",
    "methods/embedding/measure.py": "jobs/test_train_network.py",
    "methods/embedding/network.py": "methods/test_embedding_network.py",
    "methods/embedding/rows.py": "methods/test_embedding_network.py",
    "methods/embedding/training.py": "methods/test_embedding_network.py",
    "methods/embedding/kernel_regression.py": "methods/test_kernel_regression.py",
    "methods/nearest.py": "methods/test_baselines.py",
    "methods/total.py": "methods/test_baselines.py",
    "methods/uniform.py": "methods/test_baselines.py",
    "methods/network.py": "methods/test_embedding_network.py",
    "methods/asking.py": "methods/test_zero_shot.py",
    "methods/neighbours.py": "methods/test_baselines.py",
    "methods/prediction.py": "methods/test_blend.py",
    # texts, against golden files
    "prompts/few_shot.py": "prompts/test_golden.py",
    "prompts/multiple_choice.py": "prompts/test_golden.py",
    "prompts/pluralism.py": "prompts/test_golden.py",
    "prompts/steering.py": "prompts/test_golden.py",
    # readers, against files of every format and institution
    "readers/dialect.py": "readers/test_dialects.py",
    "readers/number_signs.py": "readers/test_dialects.py",
    "readers/file_design.py": "readers/test_file_says.py",
    "readers/file_labels.py": "readers/test_file_says.py",
    "readers/mended_text.py": "readers/test_file_says.py",
    "readers/portable.py": "readers/test_file_says.py",
    "readers/response_sets.py": "readers/test_file_says.py",
    "readers/system_file.py": "readers/test_file_says.py",
    "yaml_values.py": "test_documents.py",
    "output_records.py": "test_output_folder.py",
    "cli/import_file.py": "jobs/test_import_questionnaire.py",
    "questionnaires/check_list.py": "questionnaires/test_assembly.py",
    "questionnaires/entry_question.py": "questionnaires/test_questionnaire.py",
    "questionnaires/file_format.py": "questionnaires/test_limits.py",
    "questionnaires/found.py": "questionnaires/test_assembly.py",
    "questionnaires/limesurvey_types.py": "questionnaires/test_limesurvey_lss.py",
    "questionnaires/numbered_text.py": "questionnaires/test_plain_text.py",
    "questionnaires/open_question.py": "questionnaires/test_plain_text.py",
    "synthesis/answers.py": "synthesis/test_conditions.py",
    "questionnaires/text_grids.py": "questionnaires/test_plain_text.py",
    "questionnaires/line_options.py": "questionnaires/test_plain_text.py",
    "questionnaires/text_lines.py": "questionnaires/test_plain_text.py",
    "questionnaires/word_document.py": "questionnaires/test_word.py",
    "questionnaires/word_qualtrics.py": "questionnaires/test_word.py",
    "questionnaires/xml_elements.py": "questionnaires/test_decipher.py",
    "questionnaires/json_file.py": "questionnaires/test_qualtrics_qsf.py",
    "questionnaires/scales.py": "questionnaires/test_assembly.py",
    "questionnaires/csv_file.py": "questionnaires/test_questionnaire.py",
    "questionnaires/declaration.py": "questionnaires/test_questionnaire.py",
    "questionnaires/decoding.py": "questionnaires/test_questionnaire.py",
    "questionnaires/rows.py": "questionnaires/test_questionnaire.py",
    "questionnaires/xlsx_file.py": "questionnaires/test_questionnaire.py",
    "questionnaires/yaml_file.py": "questionnaires/test_questionnaire.py",
    "readers/institutions/anes.py": "readers/test_microdata.py",
    "readers/institutions/anes_to_2008.py": "readers/test_institutions.py",
    "readers/institutions/atp.py": "readers/test_institutions.py",
    "readers/codebook.py": "readers/test_microdata.py",
    "readers/conventions.py": "readers/test_microdata.py",
    "readers/describe.py": "readers/test_microdata.py",
    "readers/institutions/gss.py": "readers/test_microdata.py",
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
    # steps of one reading of evidence, through the reading
    # the library, through its commands
    "cli/library.py": "jobs/test_library.py",
    "library/history.py": "jobs/test_library.py",
    "library/recipe.py": "jobs/test_library.py",
    "report/history_chart.py": "jobs/test_library.py",
    "evidence/calibration.py": "evidence/test_reading.py",
    "evidence/frame.py": "evidence/test_reading.py",
    "evidence/frame_learning.py": "evidence/test_reading.py",
    "evidence/matching.py": "evidence/test_observations.py",
    "evidence/past.py": "evidence/test_logit.py",
    "evidence/people.py": "evidence/test_reading.py",
    "evidence/prior.py": "evidence/test_option_contrasts.py",
    "evidence/prior_learning.py": "jobs/test_learn_prior.py",
    "evidence/sample.py": "evidence/test_logit.py",
    "evidence/store.py": "evidence/test_observations.py",
    "evidence/plan_design.py": "jobs/test_plan.py",
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
