"""Train a small network to tell brick, grass and gravel apart, and keep its first layer: ``python train.py``.

One layer of three filters of 7 x 7, rectified and averaged over a patch, then a linear classifier; softmax loss, Adam,
NumPy alone. Writes ``layer.npz`` (``weights`` of shape (out, in, y, x), and ``bias``), which a ``conv_layer`` stage
reads, and ``filters.npy``, the filters side by side, for a picture. The photographs come with ``tileconv[sample]``.
"""

import numpy as np

from tileconv.samples.real import photograph

TEXTURES = ("brick", "grass", "gravel")
FILTERS, SIDE, PATCH, BATCH, STEPS, RATE = 3, 7, 24, 48, 600, 0.01


def windows(patches):
    """Return every 7 x 7 window of (n, y, x) *patches* as a row: (n, positions, 49)."""
    views = np.lib.stride_tricks.sliding_window_view(patches, (SIDE, SIDE), axis=(1, 2))
    return views.reshape(len(patches), -1, SIDE * SIDE)


def batch(rng, images):
    """Return random patches, each with mean 0 and deviation 1, and which texture they are of."""
    kinds = rng.integers(0, len(images), BATCH)
    corners = rng.integers(0, images[0].shape[0] - PATCH, (BATCH, 2))
    patches = np.stack([images[k][y : y + PATCH, x : x + PATCH] for k, (y, x) in zip(kinds, corners, strict=True)])
    patches = patches - patches.mean((1, 2), keepdims=True)
    return patches / patches.std((1, 2), keepdims=True), kinds


def forward(values, rows):
    """Return the rectified answers of all filters, their means over a patch, and the probabilities of the classes."""
    weights, bias, classifier = values
    active = np.maximum(rows @ weights.T + bias, 0)
    means = active.mean(1)
    scores = means @ classifier.T
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return active, means, scores / scores.sum(1, keepdims=True)


def gradients(values, rows, kinds):
    """Return the gradients of the loss by weights, bias and classifier, and how many patches were told right."""
    active, means, share = forward(values, rows)
    right = int((share.argmax(1) == kinds).sum())
    share[np.arange(len(kinds)), kinds] -= 1
    share /= len(kinds)
    below = (share @ values[2])[:, None] * (active > 0) / active.shape[1]
    return [np.einsum("npf,npw->fw", below, rows), below.sum((0, 1)), share.T @ means], right


def main():
    """Train, say how well the network does, and write its first layer."""
    rng = np.random.default_rng(1)
    images = [photograph(name).astype(float) for name in TEXTURES]
    values = [rng.standard_normal((FILTERS, SIDE**2)) / SIDE, np.zeros(FILTERS), rng.standard_normal((3, FILTERS))]
    first, second, told = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values], []
    for step in range(1, STEPS + 1):
        patches, kinds = batch(rng, images)
        slopes, right = gradients(values, windows(patches), kinds)
        told.append(right / BATCH)
        for value, slope, m, v in zip(values, slopes, first, second, strict=True):
            m += 0.1 * (slope - m)
            v += 0.001 * (slope**2 - v)
            value -= RATE * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    print(f"tells {np.mean(told[-100:]):.0%} of the patches right (a guess: 33%)")
    filters = values[0].reshape(FILTERS, 1, SIDE, SIDE).astype(np.float32)
    np.savez("layer.npz", weights=filters, bias=values[1].astype(np.float32))
    np.save("filters.npy", np.hstack([np.pad(f[0], 1) for f in filters]))


if __name__ == "__main__":
    main()
