"""What libraries say is not repeated to users, but where it is listed here, with a test of the message."""

import ast
from pathlib import Path

from tileconv import errors

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "tileconv"
WORDS = {"args", "problem", "reason", "msg", "__name__"}
"""What of an exception is words; those of the system (``strerror``) are for users."""
TEXTS = {"str", "repr", "one_line", "format_exc"}
"""Functions that make words of an exception."""
PRIVATE = {"Refused", "DiedError", "PoisonError"}
"""Errors of ours that no user sees."""
REPEATED = {
    "arrays.py:on_image": "test_labelled.py::test_a_misspelt_word_is_refused_as_for_other_arrays",
    "execute/connect.py:_certified": "execute/test_connect.py::test_certificates_that_lack_are_told",
    "execute/connect.py:_reach": "execute/test_connect.py::test_what_is_no_scheduler_is_told_in_one_sentence",
    "execute/connect.py:workers_at": "execute/test_connect.py::test_what_is_no_scheduler_has_no_workers",
    "execute/images.py:image_at": "execute/test_images_of_a_batch.py::"
    "test_a_name_that_makes_no_output_is_the_error_of_its_image_alone",
    "execute/jobs.py:_of_class": "execute/test_clusters.py::test_a_class_that_cannot_be_had_is_told",
    "execute/jobs.py:_of_jobs": "execute/test_clusters.py::test_what_lacks_is_told_in_one_sentence",
    "execute/jobs.py:_scale": "execute/test_clusters.py::test_what_the_batch_system_says_is_told",
    "operations/custom.py:file_of": "operations/test_custom.py::test_bad_parameters",
    "options.py:place": "test_cli.py::test_bad_input_ends_in_a_message",
    "options.py:path": "test_cli.py::test_bad_input_ends_in_a_message",
    "sources/zarr_guard.py:_lzma": "hostile/test_hostile_chunks.py::test_bombs_whose_header_states_no_size",
    "stores/location.py:here": "audit/test_rerun.py::test_paths_of_no_file_here",
    "spec/clusters.py:own_clusters": "execute/test_clusters.py::test_a_file_of_the_user_that_cannot_be_read_is_told",
    "spec/override.py:_filled": "spec/test_override.py::test_paths_of_the_command_line",
    "spec/override.py:apply_overrides": "spec/test_override.py::test_bad_overrides_are_named",
    "spec/override.py:redirect": "spec/test_override.py::test_paths_of_the_command_line",
    "spec/reader.py:_read": "spec/test_error_messages.py::test_message_is_exact",
    "stores/aws.py:_made_by": "stores/test_credentials.py::test_a_process_that_makes_no_keys_is_told",
    "spec/reader.py:path": "spec/test_override.py::test_paths_of_no_file_here_are_refused_wherever_they_come_from",
}
"""Functions that repeat a library's words, and the tests that hold the message to a real fault."""


def handlers(tree, function=""):
    """Yield every handler of an exception that it names, with the function around it."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef) else function
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield inside, node
        yield from handlers(node, inside)


def repeats(handler):
    """Return whether *handler* makes words of its exception, and this is not an error of ours."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    ours = [ast.unparse(kind).rpartition(".")[2] for kind in kinds]
    if all(hasattr(errors, kind) or kind in PRIVATE for kind in ours):
        return False

    def is_it(node):
        return ast.unparse(node) in {handler.name, f"type({handler.name})"}

    return any(
        (isinstance(node, ast.FormattedValue) and is_it(node.value))
        or (isinstance(node, ast.Attribute) and node.attr in WORDS and is_it(node.value))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in TEXTS and any(map(is_it, node.args)))
        for node in ast.walk(handler)
    )


def found():
    for file in sorted(PACKAGE.rglob("*.py")):
        for function, handler in handlers(ast.parse(file.read_text("utf-8"))):
            if repeats(handler):
                yield f"{file.relative_to(PACKAGE).as_posix()}:{function}"


def test_whoever_repeats_a_library_is_listed():
    assert sorted(set(found())) == sorted(REPEATED)


def test_what_is_listed_is_tested():
    for test in REPEATED.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (TESTS / file).read_text("utf-8"), test
