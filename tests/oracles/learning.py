"""Kernels learned the dense way: every shift a column, NumPy's own least squares and SciPy's own minimisers."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.optimize import minimize

PADS = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap"}


def columns(before, shape, border=None):
    """Return a row per pixel and a column per weight; NaN where nothing is said to lie outside."""
    halos = [(n // 2, n - 1 - n // 2) for n in shape]
    if border is None or isinstance(border, dict):
        value = np.nan if border is None else border["value"]
        padded = np.pad(before.astype(float), halos, constant_values=value)
    else:
        padded = np.pad(before.astype(float), halos, mode=PADS[border])
    return sliding_window_view(padded, shape).reshape(-1, np.prod(shape))


def rows(before, after, shape, border=None, counts=None):
    """Return the columns and the targets of all pixels that count."""
    matrix, target = columns(before, shape, border), after.astype(float).ravel()
    good = np.isfinite(matrix).all(1) & np.isfinite(target)
    if counts is not None:
        good &= counts.ravel()
    return matrix[good], target[good]


def least_squares(matrix, target, ridge=0.0):
    """Return weights and offset; a ridge is more rows, of the centred columns."""
    count = matrix.shape[1]
    means, mean = matrix.mean(0), target.mean()
    strength = np.sqrt(ridge * np.square(matrix - means).sum() / count)
    taller = np.vstack([matrix - means, strength * np.eye(count)])
    weights = np.linalg.lstsq(taller, np.concatenate([target - mean, np.zeros(count)]), rcond=None)[0]
    return weights, mean - means @ weights


def constrained(matrix, target, *, equal=(), total=None, non_negative=False):
    """Return the weights that a general minimiser finds; *equal* holds pairs of weights that are the same."""
    centred, aim = matrix - matrix.mean(0), target - target.mean()
    gram, cross = centred.T @ centred, centred.T @ aim
    scale = np.trace(gram) / len(gram)
    gram, cross = gram / scale, cross / scale
    rules = [{"type": "eq", "fun": lambda w, i=i, j=j: w[i] - w[j]} for i, j in equal]
    if total is not None:
        rules.append({"type": "eq", "fun": lambda w: w.sum() - total})
    bounds = [(0, None)] * len(gram) if non_negative else None
    options = {"ftol": 1e-15, "maxiter": 2000}
    found = minimize(
        lambda w: w @ gram @ w / 2 - w @ cross,
        np.full(len(gram), 1 / len(gram)),
        jac=lambda w: gram @ w - cross,
        method="SLSQP",
        bounds=bounds,
        constraints=rules,
        options=options,
    )
    return found.x


def logistic(matrix, marks):
    """Return weights, offset and the mean loss of logistic regression."""
    centre, scale = matrix.mean(0), matrix.std(0)
    full = np.c_[(matrix - centre) / scale, np.ones(len(matrix))]

    def loss(w):
        odds = full @ w
        return np.logaddexp(0, odds).sum() - marks @ odds

    def slope(w):
        return full.T @ (1 / (1 + np.exp(-(full @ w))) - marks)

    found = minimize(loss, np.zeros(full.shape[1]), jac=slope, method="BFGS", options={"gtol": 1e-7})
    weights = found.x[:-1] / scale
    return weights, found.x[-1] - weights @ centre, found.fun / len(marks)


def answer(before, kernel, noise=0.0):
    """Return what *kernel* makes of *before*, 7, and noise of that size."""
    made = columns(before, kernel.shape, "reflect") @ kernel.ravel() + 7
    return made.reshape(before.shape) + noise * np.random.default_rng(5).normal(size=before.shape)
