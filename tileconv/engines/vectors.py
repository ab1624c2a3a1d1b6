"""Loops that are written for LLVM, because what Numba makes of Python keeps no sums of many pixels in registers.

Such a loop is a function that says what is done to vectors of pixels, and Numba puts it into the loop that calls it.
Rows are told by their addresses. Sums and products stay in the order in which they are written: nothing is contracted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from hashlib import sha256
from sys import modules
from types import FunctionType
from typing import Any

from tileconv.engines.loops import Loop, instructions

BYTES = 32
"""Of a vector: what AVX2 holds in a register. Elsewhere it takes more of them, or fewer, and makes the same numbers."""
Value = Any
"""What is known when the loop runs: a whole number, a pixel, a vector of pixels or of what is true of them."""


def written(returns: str = "void") -> Callable[[Callable[..., Any]], Any]:
    """Return what makes a loop of a function that is told the ``Code`` to write it with, and the loop's arguments.

    The first of these says the type of pixels: an array, of which it is told the address. The others are whole numbers,
    or numbers of that type.
    """
    return lambda function: Written(function, {"returns": returns, "bytes": BYTES})


class Written(Loop):
    """A loop that others call, and that is written for LLVM."""

    @cached_property
    def compiler(self) -> Any:
        """Numba's own, which tells the types of arguments and asks for what is to be written."""
        from inspect import signature

        from numba import types
        from numba.extending import intrinsic

        def typed(_: Any, *given: Any) -> Any:
            def write(context: Any, builder: Any, known: Any, args: Any) -> Any:
                first, *others = args
                code = Code(builder, context.get_data_type(getattr(known.args[0], "dtype", known.args[0])))
                if isinstance(known.args[0], types.Array):
                    array = context.make_array(known.args[0])(context, builder, first)
                    first = builder.ptrtoint(array.data, code.whole)
                made = self._function(code, first, *others)
                return context.get_dummy_value() if made is None else made

            taken = [of if isinstance(of, types.Array | types.Float) else types.int64 for of in given]
            return getattr(types, self._options["returns"])(*taken), write

        typed.__signature__ = signature(self._function)  # type: ignore[attr-defined]
        return intrinsic(typed)

    @cached_property
    def digest(self) -> str:
        """A digest of all that the code follows from."""
        return f"{sorted(self._options.items())} {_digest(self._function.__module__)} {_digest(__name__)}"


@cache
def _digest(name: str) -> str:
    """Return a digest of what a module says, but for lines and paths."""
    own = {**vars(modules[name]), **vars(Code)}
    functions = {key: getattr(of, "__wrapped__", of) for key, of in own.items()}
    said = {key: instructions(of.__code__) for key, of in functions.items() if isinstance(of, FunctionType)}
    numbers = [(key, of) for key, of in own.items() if isinstance(of, int)]
    return sha256(repr((sorted(said.items()), numbers)).encode()).hexdigest()


class Code:
    """What writes a loop: instructions of LLVM, by *builder*, for pixels of the type *real*."""

    def __init__(self, builder: Any, real: Any) -> None:
        from llvmlite import ir
        from numba.core import cgutils

        tools: Any = cgutils
        self.ir, self.tools, self.builder, self.real = ir, tools, builder, real
        self.byte, self.short, self.int, self.whole = map(ir.IntType, (8, 16, 32, 64))
        self.float, self.double = ir.FloatType(), ir.DoubleType()
        self.lanes = BYTES // self.size(real)

    def size(self, of: Any) -> int:
        """Return the bytes of a number of type *of*."""
        return of.width // 8 if hasattr(of, "width") else 8 if of == self.double else 4

    def number(self, value: int | Value) -> Value:
        """Return a whole number as LLVM has it."""
        return self.ir.Constant(self.whole, value) if isinstance(value, int) else value

    def sum(self, *numbers: int | Value) -> Value:
        """Return the sum of whole numbers."""
        first, *others = map(self.number, numbers)
        for other in others:
            first = self.builder.add(first, other)
        return first

    def product(self, a: int | Value, b: int | Value) -> Value:
        """Return the product of two whole numbers."""
        return self.builder.mul(self.number(a), self.number(b))

    def less(self, a: int | Value, b: int | Value) -> Value:
        """Return the lesser of two whole numbers."""
        a, b = self.number(a), self.number(b)
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def at(self, address: Value, *numbers: int | Value, of: Any = None) -> Value:
        """Return the address that is so many *numbers* further, all of the type of pixels or another."""
        return self.sum(address, self.product(self.sum(*numbers), self.size(of or self.real)))

    def load(self, address: Value, lanes: int = 0, of: Any = None) -> Value:
        """Return the numbers that lie at *address*: a vector of pixels, or so many of another type."""
        of = of or self.real
        place = self.builder.inttoptr(address, self.beside(of, lanes or self.lanes).as_pointer())
        return self.builder.load(place, align=self.size(of))

    def store(self, value: Value, address: Value) -> None:
        """Write numbers to *address*."""
        place = self.builder.inttoptr(address, value.type.as_pointer())
        self.builder.store(value, place, align=self.size(getattr(value.type, "element", value.type)))

    def beside(self, of: Any, lanes: int) -> Any:
        """Return the type of so many numbers side by side."""
        return of if lanes == 1 else self.ir.VectorType(of, lanes)

    def lanes_of(self, value: Value) -> int:
        """Return how many numbers are side by side in *value*."""
        return int(getattr(value.type, "count", 1))

    def fill(self, value: float | Value, lanes: int = 0) -> Value:
        """Return a vector of which all numbers are *value*."""
        lanes = lanes or self.lanes
        if isinstance(value, float):
            return self.ir.Constant(self.beside(self.real, lanes), [value] * lanes if lanes > 1 else value)
        if lanes == 1:
            return value
        nothing = self.ir.Constant(self.beside(value.type, lanes), self.ir.Undefined)
        one = self.builder.insert_element(nothing, value, self.ir.Constant(self.int, 0))
        return self.builder.shuffle_vector(one, nothing, self.ir.Constant(self.beside(self.int, lanes), [0] * lanes))

    def cast(self, value: Value, real: Any, *, signed: bool = True) -> Value:
        """Return numbers of any type in one of floating-point numbers."""
        of, into = getattr(value.type, "element", value.type), self.beside(real, self.lanes_of(value))
        if of == real:
            return value
        if of in (self.float, self.double):
            return self.builder.fpext(value, into) if of == self.float else self.builder.fptrunc(value, into)
        widen = self.builder.sext if signed else self.builder.zext
        return self.builder.sitofp(widen(value, self.beside(self.int, self.lanes_of(value))), into)

    def call(self, name: str, value: Value) -> Value:
        """Return what LLVM's own function *name* makes of numbers."""
        lanes, of = self.lanes_of(value), getattr(value.type, "element", value.type)
        kind = f"{f'v{lanes}' if lanes > 1 else ''}f{8 * self.size(of)}"
        function = self.ir.FunctionType(value.type, [value.type])
        return self.builder.call(
            self.tools.get_or_insert_function(self.builder.module, function, f"llvm.{name}.{kind}"), [value]
        )

    def variable(self, value: Value) -> Value:
        """Return a new variable, which is *value* from here on."""
        variable = self.tools.alloca_once(self.builder, value.type)
        self.builder.store(value, variable)
        return variable

    def count(self, variable: Value, condition: Value, start: int | Value, stop: int | Value) -> None:
        """Add to a variable how many numbers from place *start* on, and before *stop*, have a *condition*."""
        b, lanes, every = self.builder, self.lanes_of(condition), self.ir.Constant(self.whole, -1)
        bits = b.zext(b.bitcast(condition, self.ir.IntType(lanes)), self.whole)
        with self.where(bits, "!=", 0):
            if start != 0:
                bits = b.and_(bits, b.shl(every, start))
            bits = b.and_(bits, b.not_(b.shl(every, self.less(stop, 63))))
            b.store(b.add(b.load(variable), b.ctpop(bits)), variable)

    @contextmanager
    def where(self, a: Value, sign: str, b: int | Value) -> Iterator[None]:
        """Do what is written within where one whole number is so to the other."""
        with self.builder.if_then(self.builder.icmp_signed(sign, a, self.number(b))):
            yield

    @contextmanager
    def counting(self, start: int | Value, stop: int | Value, step: int = 1) -> Iterator[Value]:
        """Do what is written within for the numbers from *start* to below *stop*."""
        with self.tools.for_range_slice(self.builder, *map(self.number, (start, stop, step))) as (number, _):
            yield number

    @contextmanager
    def across(self, width: Value, step: int) -> Iterator[tuple[Value, Value]]:
        """Do what is written within for *step* pixels at a time: of the place of the first, and of how many are old.

        The last end with the row of *width*, so that some are done again. Only if it is shorter they reach beyond it.
        """
        last = self.builder.sub(width, self.less(width, step))
        with self.counting(0, width, step) as x:
            place = self.less(x, last)
            yield place, self.builder.sub(x, place)

    def exactly(
        self,
        width: Value,
        source: Value,
        of: Any,
        into: Value,
        to: Any,
        do: Callable[[Value, Value, Value, Value], None],
    ) -> None:
        """Read and write *width* numbers and none beside them: do, with where they are, what is done ``across`` them.

        It is done to two vectors at once. Fewer numbers are read from a copy of them, and written to one.
        """
        b, step = self.builder, 2 * self.lanes
        few = b.icmp_signed("<", width, self.number(step))
        held = [self.tools.alloca_once(b, self.ir.ArrayType(self.whole, step)) for _ in range(2)]
        copies = [b.ptrtoint(one, self.whole) for one in held]
        with b.if_then(few):
            self._copy(copies[0], source, width, of)
        with self.across(width, step) as (x, old):
            do(b.select(few, copies[0], source), b.select(few, copies[1], into), x, old)
        with b.if_then(few):
            self._copy(into, copies[1], width, to)

    def _copy(self, into: Value, source: Value, count: Value, of: Any) -> None:
        there, here = (self.builder.inttoptr(place, self.byte.as_pointer()) for place in (into, source))
        self.tools.raw_memcpy(self.builder, there, here, count, self.number(self.size(of)))


@written("int64")
def address(_: Code, place: Value) -> Value:
    """Return where the first number of an array lies."""
    return place


@written("int64")
def least(code: Code, a: Value, b: Value) -> Value:
    """Return the lesser of two whole numbers; Numba would compile its own."""
    return code.less(a, b)
