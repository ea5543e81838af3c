"""The parameter form: what people change, and what a training with it takes, before it begins."""

import html
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np

from srnb import backend, losses, models, progress, training
from srnb.data import patches
from srnb.reports.controls import desk, still
from srnb.training import optimizers

NETWORK = ("blocks", "width", "normalization", "skip", "residual_scale", "attention")  # parameters that change a spec


@dataclass(frozen=True)
class Effort:
    """What a training takes: parameters of its networks, multiply-adds of one step, steps."""

    parameters: int
    work: float
    steps: int


def pretraining(values, *, scale):
    """Return the effort of notebook 2 with parameters `values`: one pass forward and two backward of the generator.

    Raises ValueError for a network that cannot be built.
    """
    spec = _spec(values, scale)
    with keras.StatelessScope(initialize_variables=False):  # variables without values: quick, and draws nothing
        network = models.build(spec)
    work = 3 * _work(network, values["patch_size"], values["batch_size"])
    return Effort(network.count_params(), work, values["steps"])


def game(values, *, generator, discriminator, features):
    """Return the effort of notebook 3 with parameters `values`.

    The generator and the feature networks go forward once and backward twice, the latter once for HR; the discriminator
    sees SR for the generator, then SR and HR, and learns from these two.
    """
    size, batch = values["gan_patch_size"], values["gan_batch_size"]
    work, parameters = 3 * _work(generator, size, batch), generator.count_params()
    if values["perceptual_weight"] or values["style_weight"] or values["lpips_weight"]:
        work += 3 * sum(_work(network, size, batch) for network in features)
    if values["adversarial_weight"] and discriminator is not None:
        work += 8 * _work(discriminator, size, batch)
        parameters += discriminator.count_params()
    return Effort(parameters, work, values["gan_steps"])


def seconds_per_step(values, *, scale):
    """Return how long a step of notebook 2 with parameters `values` takes here, once compiled: the median of three.

    The pictures are random. Whatever draws random numbers goes on as if nothing had been measured.
    Raises ValueError for a network that cannot be built, and for a patch that is no multiple of the scale.
    """
    size, batch = values["patch_size"], values["batch_size"]
    patches.require_patch_size(size, scale)
    hr = np.random.default_rng(0).random((batch, size, size, 3), dtype="float32")
    with _aside(optimizers.policy(backend.precision(values["precision"]))):
        network = models.build(_spec(values, scale))
        loss = {"pixel": (1.0, losses.pixel_loss(values["pixel_loss"], steps=values["steps"]))}
        trainer = training.Trainer(network, terms=loss, generator_optimizer=optimizers.adam(1e-4))
        taken = []
        for _ in range(5):  # the first compiles, the second warms up
            start = time.perf_counter()
            float(trainer.train_step(hr[:, ::scale, ::scale], hr)["pixel"])
            taken.append(time.perf_counter() - start)
    return float(np.median(taken[2:]))


def _spec(values, scale):
    spec, _ = models.from_parameters(values["generator"], scale=scale, **{name: values[name] for name in NETWORK})
    return spec


@contextmanager
def _aside(policy):
    """Compute by a dtype policy, and put it and Keras's source of seeds back."""
    before, drawn = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
        random.setstate(drawn)


def _work(network, size, batch):
    cost = models.cost(network)
    return batch * (cost["multiply_adds"] * size**2 + cost["multiply_adds_per_picture"])


def speed(run):
    """Return multiply-adds a second of a training here, and what they are taken from: notebook 2, or a convolution."""
    record, log = run.read(), run.read_log()
    values = (record.get("parameters") or {}).get("02_pretrain")
    rows = log[log["stage"] == "pretrain"] if {"stage", "images_per_second"} <= set(log) else log
    if not values or rows.empty or not record.get("data"):
        return (
            desk.speed(),
            "as fast as this machine convolves, right within a factor of three for all but tiny networks",
        )
    images = rows["images_per_second"].median()
    work = pretraining(values, scale=record["data"]["scale"]).work / values["batch_size"]
    return images * work, "as fast as notebook 2 trained"


def show(groups, values, names, effort, *, run, choices=None, measure=None):
    """Display the form of a notebook's parameters; what is changed there becomes lines for its parameters cell.

    groups: title -> {name -> comment}, as of `presets.described`. values: name -> value; other names are ignored.
    names: those that come first; the others are folded, in their groups. effort: function of name -> value that returns
    the `Effort`. choices: name -> values to choose from. measure: function of name -> value that returns the seconds of
    a step here; with it the form has a button.
    """
    comments = {name: comment for group in groups.values() for name, comment in group.items()}
    values = {name: values[name] for name in comments}
    rate = speed(run)
    table = _table({name: (repr(values[name]), comments[name]) for name in names})
    still.show(
        table + _said(effort(values), *rate),
        lambda: control(groups, values, names, effort, rate, choices or {}, measure),
    )


def _table(rows):
    cells = (
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(value)}</td>"
        f'<td style="text-align:left">{html.escape(comment)}</td></tr>'
        for name, (value, comment) in rows.items()
    )
    return f"<table><tbody>{''.join(cells)}</tbody></table>"


def _said(effort, rate, source):
    steps = rate / effort.work
    pace = f"{steps:,.0f}" if steps >= 10 else f"{steps:.2g}"
    return (
        f"<p>{effort.parameters:,} parameters · about {pace} steps a second, "
        f"<b>{progress.duration(effort.steps / steps)}</b> for {effort.steps:,} steps, {html.escape(source)}</p>"
    )


def lines(changed):
    """Return what is changed, name -> value, as lines of a parameters cell."""
    return "\n".join(f"{name} = {value!r}" for name, value in changed.items())


def control(groups, values, names, effort, rate, choices, measure=None):
    """Return the form as a widget."""
    import ipywidgets

    said, fields = ipywidgets.HTML(), {}
    button = ipywidgets.Button(description="measure a step here", layout={"width": "auto"})

    def field(name, comment):
        layout, value = {"width": "330px"}, values[name]
        style = {"description_width": "190px"}
        options = {"description": name, "layout": layout, "style": style, "value": value}
        if isinstance(value, bool):
            made = ipywidgets.Checkbox(**options, indent=True)
        elif isinstance(value, int):
            made = ipywidgets.IntText(**options)
        elif isinstance(value, float):
            made = ipywidgets.FloatText(**options, step=value / 10 or 0.1)
        elif name in choices:
            made = ipywidgets.Dropdown(**options, options=list(dict.fromkeys([*choices[name], value])))
        else:
            made = ipywidgets.Text(**options, continuous_update=False)
        made.observe(refresh, "value")
        fields[name] = made
        return ipywidgets.HBox([made, ipywidgets.HTML(f"<small>{html.escape(comment)}</small>")])

    def current():
        return values | {name: made.value for name, made in fields.items()}

    def time_a_step(_):
        nonlocal rate
        button.disabled, button.description = True, "compiling and measuring …"
        try:
            rate = effort(current()).work / measure(current()), "as fast as the steps just made, data not counted"
            refresh()
        except (ValueError, ZeroDivisionError, FileNotFoundError) as error:
            said.value = still.problem(error)
        finally:  # another error, such as too little memory, goes to Lab's log and leaves the button usable
            button.disabled, button.description = False, "measure a step here"

    def refresh(change=None):
        now = current()
        changed = {name: now[name] for name in fields if now[name] != values[name]}
        pasted = f"for the parameters cell, then <i>Run All</i>:<pre>{html.escape(lines(changed))}</pre>"
        try:
            said.value = _said(effort(now), *rate) + pasted * bool(changed)
        except (ValueError, ZeroDivisionError, FileNotFoundError) as error:
            said.value = still.problem(error)

    comments = {name: comment for group in groups.values() for name, comment in group.items()}
    first = [field(name, comments[name]) for name in names]
    rest = {
        title: [field(name, comment) for name, comment in group.items() if name not in names]
        for title, group in groups.items()
    }
    rest = {title: rows for title, rows in rest.items() if rows}
    folded = ipywidgets.Accordion(
        [ipywidgets.VBox(rows) for rows in rest.values()], titles=list(rest), selected_index=None
    )
    button.on_click(time_a_step)
    refresh()
    return ipywidgets.VBox([*first, folded, said, *[button] * bool(measure)])
