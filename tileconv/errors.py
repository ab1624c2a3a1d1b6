"""Every error that tileconv raises on purpose, split by who can mend it.

TileconvError
├── SpecError        the pipeline file is wrong; carries every problem with its position
├── KernelError      weights or operator parameters cannot make a kernel
├── GeometryError    boxes that do not fit together; a caller's mistake
├── SourceError      the input is missing, damaged, unsupported or over a limit
├── PlanError        what is asked for cannot be done; nothing has run yet
├── ResumeError      the output was begun by a run that differs; nothing has run yet
├── TileError        one tile failed while it ran; carries its box
├── ClusterError     the Dask cluster cannot be reached, or lost what it had to do
├── SinkError        the output cannot be written, or already exists
└── UnfinishedError  some tiles failed, the others are done and kept

Each error keeps its parts as attributes, makes its text from them in one place and survives a pickle round trip, so
that it crosses from a worker to the client unchanged.
"""

from __future__ import annotations

from typing import ClassVar

from tileconv.quick import dataclass
from tileconv.signals import INTERRUPTED

NOT_WINDOWS = "tileconv needs Linux or macOS; on Windows it runs in WSL (wsl --install)"


class TileconvError(Exception):
    """Base of every error of tileconv: where it happened, what, why it matters and what to do.

    Parameters
    ----------
    problem
        What was expected and what was found; a clause without a full stop.
    where
        The file, tile or key concerned; empty when there is only one candidate.
    why
        Why it matters; a clause that reads well after "because"; empty when plain.
    fix
        What to do, as a sentence; empty when there is nothing to suggest.

    Examples
    --------
    >>> str(SourceError("no such file", where="big.tif", fix="Check the path."))
    'big.tif: no such file. Check the path.'
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(problem)
        self.problem, self.where, self.why, self.fix = problem, where, why, fix

    def __str__(self) -> str:
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        if self.why:
            text = f"{text}, because {self.why}"
        return f"{text}. {self.fix}" if self.fix else text

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.__dict__)


def _rebuild(cls: type[TileconvError], data: dict[str, object]) -> TileconvError:
    error = cls.__new__(cls)
    error.__dict__.update(data)
    error.args = (data["problem"],)
    return error


class KernelError(TileconvError, ValueError):
    """Weights or operator parameters cannot make a kernel."""

    exit_code = 2


class GeometryError(TileconvError, ValueError):
    """Boxes, halos or axes that do not fit together."""


class SourceError(TileconvError):
    """The input is missing, damaged, unsupported or over a limit."""


class PlanError(TileconvError, ValueError):
    """What is asked for cannot be done; nothing has run yet."""

    exit_code = 2


class ResumeError(TileconvError):
    """The output was begun by a run that differs from this one; the first difference is named."""

    exit_code = 2


class TileError(TileconvError):
    """One tile failed while it ran; ``where`` names its box and file."""


class ClusterError(TileconvError):
    """The Dask cluster cannot be reached, or lost what it had to do."""


class SinkError(TileconvError):
    """The output cannot be written, or already exists."""


class UnfinishedError(TileconvError):
    """Some tiles failed and the others are done; the same command makes those that are left."""

    exit_code = 3


class Interrupted(KeyboardInterrupt):
    """The user stopped a run; the text says how far it came, and what makes the rest."""

    exit_code: ClassVar[int] = INTERRUPTED


@dataclass(frozen=True)
class Problem:
    """One mistake in a pipeline file, with its place in the user's own text.

    ``line`` and ``column`` count from 1, as editors do; ``source`` is the line of text and ``width`` the number of
    characters to underline. A problem that has no place in the text (an override, say) has ``line`` 0.
    """

    key: str
    message: str
    line: int = 0
    column: int = 0
    source: str = ""
    width: int = 1
    hint: str = ""

    def render(self, path: str) -> str:
        """Return the message with ``path:line:column``, the line and a caret below the place."""
        place = f"{path}:{self.line}:{self.column}" if self.line else path
        head = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        if not self.source:
            return f"{head}\n    {self.hint}" if self.hint else head
        gutter = f"{self.line:>5} | "
        caret = " " * (len(gutter) + self.column - 1) + "^" * max(1, self.width)
        return f"{head}\n{gutter}{self.source}\n{caret}" + (f" {self.hint}" if self.hint else "")


class SpecError(TileconvError):
    """The pipeline file is wrong; ``problems`` lists every mistake, in the order of the text."""

    exit_code = 2

    def __init__(self, path: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{len(problems)} problem{'s' * (len(problems) != 1)}", where=path)
        self.path, self.problems = path, problems

    def __str__(self) -> str:
        return "\n".join(problem.render(self.path) for problem in self.problems)
