"""Losses over steps and learning rates, power and weights over frequencies and distances."""

from fractions import Fraction

import numpy as np
from scipy import ndimage

from srnb.data import resize
from srnb.reports.figures.drawing import COLOURS, INK, dashed, new, palette, themed


@themed
def rates(frame, *, chosen, term="pixel"):
    """Draw a loss over the learning rate that made it, from the frame of `training.rehearse`; `chosen` is marked."""
    figure, axis = new(5.2, 2.4)
    axis.plot(frame["learning_rate"], frame[term], color=COLOURS[0], alpha=0.3)
    axis.plot(frame["learning_rate"], frame[term].rolling(5, center=True, min_periods=1).median(), color=COLOURS[0])
    dashed(axis, chosen, f"{chosen:g}", colour=COLOURS[1])
    axis.set(xscale="log", yscale="log")
    axis.set_xlabel("learning rate")
    axis.set_title(f"{term} loss while the rate grows from step to step")
    return figure.described(
        f"A rehearsal in which the learning rate grows from step to step; {chosen:g}, dashed, is the one chosen.",
        f"Curve of the {term} loss over learning rates from {frame['learning_rate'].min():.2g} to "
        f"{frame['learning_rate'].max():.2g}, with a mark at {chosen:g}.",
    )


@themed
def rehearsals(frames, *, term="pixel"):
    """Draw the loss of several short trainings over their steps; `frames` is a dict of name -> frame."""
    figure, axis = new(6.4, 2.8)
    for (name, frame), colour in zip(frames.items(), COLOURS, strict=False):
        smooth = frame[term].rolling(9, center=True, min_periods=1).median()
        axis.plot(range(1, len(frame) + 1), smooth, color=colour, label=name)
    axis.set(yscale="log")
    axis.set_xlabel("step")
    axis.set_title(f"{term} loss")
    figure.legend(loc="outside right upper")
    ends = ", ".join(f"{name} {frame[term].iloc[-1]:.3g}" for name, frame in frames.items())
    return figure.described(
        f"Short trainings side by side: the {term} loss over their steps.", f"Curves that end at: {ends}."
    )


@themed
def spectra(curves, *, reference="HR", limit=None):
    """Draw at which frequencies pictures have as much power as `reference`; `curves` is name -> (frequency, power).

    The curves are of `maps.spectrum`, `limit` is the highest frequency that LR can hold, drawn dashed.
    """
    figure, axis = new(6.4, 3)
    frequencies, power = curves[reference]
    results = {name: own for name, (_, own) in curves.items() if name != reference}
    ends, colours = [], palette(results)
    for name, own in results.items():
        share = np.exp(ndimage.gaussian_filter1d(np.log((own + 1e-9) / (power + 1e-9)), 3, mode="nearest"))
        axis.plot(frequencies, share, color=colours[name], label=name)
        ends.append(f"{name} {np.interp(0.35, frequencies, share):.2g}")
    axis.axhline(1, color=INK, linewidth=1)
    if limit is not None:
        dashed(axis, limit, "beyond LR", height=0.1)  # below the curves, which begin at 1
    axis.set(yscale="log")
    axis.set_xlabel("frequency (cycles per pixel)")
    axis.set_ylabel(f"power beside {reference}")
    figure.legend(loc="outside right upper")
    return figure.described(
        f"How much detail of each frequency a result has beside {reference}, which is 1; right of the dashed line lies "
        "what the small picture cannot hold.",
        f"Curves of the power spectrum over that of {reference}; at 0.35 cycles per pixel: {', '.join(ends)}.",
    )


@themed
def kernels(scale):
    """Draw what bicubic does when it makes a picture `scale` times smaller, with and without antialiasing.

    Left: the weights of the pixels of HR in one pixel of LR. Right: the share of each frequency that they let through.
    """
    size = 8 * scale + 1
    impulses = np.eye(size * scale)[:, None]  # (H, 1, C): every channel has one bright pixel
    antialiased = resize.imresize(impulses, Fraction(1, scale))[size // 2, 0]  # the middle output
    place = np.arange(size * scale) - (size // 2 * scale + (scale - 1) / 2)  # of each input, seen from that output
    interpolated = resize.kernel(place) / resize.kernel(place).sum()
    frequencies, x = np.linspace(0, 0.5, 400), np.linspace(-2 * scale - 1, 2 * scale + 1, 1001)
    figure, (left, right) = new(8.4, 2.8, columns=2)
    shown = {"with antialiasing": (antialiased, 1 / scale), "without": (interpolated, 1)}
    for (name, (weights, narrowing)), colour in zip(shown.items(), COLOURS, strict=False):
        left.plot(x, resize.kernel(x, scale=narrowing), color=colour, linewidth=1)
        taps = weights != 0
        left.scatter(place[taps], weights[taps], s=14, color=colour, label=name)
        response = abs(np.exp(-2j * np.pi * frequencies[:, None] * place) @ weights)
        right.plot(frequencies, response, color=colour)
    dashed(right, 0.5 / scale, "beyond LR", height=0.62)
    left.set_title("weight in one pixel of LR")
    left.set_xlabel("distance (pixels of HR)")
    right.set_title("share that passes")
    right.set_xlabel("frequency (cycles per pixel of HR)")
    left.legend()
    return figure.described(
        f"Bicubic, {scale} times smaller, with and without antialiasing: left its weights, right what passes.",
        f"Without antialiasing frequencies beyond the dashed line at {0.5 / scale:g} cycles pass and fold back; with "
        "it they are mostly held off.",
    )
