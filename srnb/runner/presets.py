"""The parameters of notebooks: parameters cells, the preset files that fill them, and the check between the two.

papermill injects whatever it is given, so a misspelt name or the text "false" would pass unnoticed. Here every name and
type is checked against the parameters cells before a kernel starts. Cells are parsed with `ast`: papermill's own
`inspect_notebook` skips lines whose comment contains an equals sign.
"""

import ast
import difflib
import math
import re
from pathlib import Path

import nbformat
import yaml

from srnb import files
from srnb.files import NOTEBOOKS

RUNNER = {  # parameters that the runner fills by itself -> how its user says it
    "run_folder": "--run and --results name the run's folder",
    "resume": "--resume RUN goes on with a run",
    "runs": "--grid names the runs to compare with",
}
RANGES = {  # what numbers must be -> whether one is, and the parameters that must
    "at least 1": (
        lambda value: value >= 1,
        {
            *("scale", "steps", "gan_steps", "batch_size", "gan_batch_size", "patch_size", "gan_patch_size", "cycles"),
            *("accumulate", "gan_accumulate", "discriminator_steps", "log_every", "validate_every", "crop_size"),
        },
    ),
    "at least 0": (
        lambda value: value >= 0,
        {
            *("lr_copies", "blocks", "width", "discriminator_width", "discriminator_grid", "residual_scale", "strips"),
            *("warmup", "gan_warmup", "clip_norm", "gan_clip_norm", "rehearsal_steps", "validate_size"),
            *("adversarial_weight", "perceptual_weight", "pixel_weight", "style_weight", "lpips_weight"),
            *("total_variation_weight", "feature_matching_weight", "historical_weight", "gradient_penalty_weight"),
        },
    ),
    "from 0 to 4294967295": (lambda value: 0 <= value < 2**32, {"seed"}),  # what NumPy takes
    "above 0": (
        lambda value: value > 0,
        {"learning_rate", "gan_learning_rate", "discriminator_learning_rate", "decay", "gan_decay"},
    ),
    "at least 0 and below 1": (lambda value: 0 <= value < 1, {"ema_decay", "beta_2", "gan_beta_2"}),
    "above 0 and at most 1": (lambda value: 0 < value <= 1, {"real_target"}),
}


def steps(names=(), *, folder=NOTEBOOKS):
    """Return those paths of `notebooks` that are steps of a run, the ones with a parameter `run_folder`.

    Raises ValueError if `names` has another one.
    """
    chosen = {path: "run_folder" in parameters(path) for path in notebooks(names, folder=folder)}
    others = [path.stem for path, is_step in chosen.items() if names and not is_step]
    if others:
        raise ValueError(
            f"a step of a run must have a parameter `run_folder`. Received: {', '.join(others)}, to be opened with "
            "`srnb lab` or executed by papermill"
        )
    return [path for path, is_step in chosen.items() if is_step]


def notebooks(names=(), *, folder=NOTEBOOKS):
    """Return the paths of notebooks given by number ("02"), stem or file name, sorted; by default all numbered ones."""
    known = sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))
    if not known:
        raise FileNotFoundError(f"there must be notebooks named like 01_data.ipynb. Received: {folder}")
    chosen = []
    for name in names:
        found = [path for path in known if name in (path.stem[:2], path.stem, path.name)]
        if not found:
            stems = [path.stem for path in known]
            raise ValueError(f"a notebook must be one of {', '.join(stems)}, or its number. Received: {name}")
        chosen += found
    return sorted(set(chosen)) or known


def parameters(notebook):
    """Return {name: default} of the cell tagged `parameters`. Raises ValueError unless all are flat literals."""
    cells = nbformat.read(notebook, 4).cells
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"a notebook must have one cell tagged `parameters`. Received: {len(tagged)} in {notebook}")
    return parameters_of(tagged[0], notebook)


def parameters_of(source, notebook="a cell"):
    """Return {name: value} of the source of a parameters cell. Raises ValueError unless all are flat literals."""
    found = {}
    for statement in ast.parse(source).body:
        try:
            (target,) = statement.targets
            found[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            raise ValueError(
                "the parameters cell must hold lines `name = literal` only. "
                f"Received: {ast.unparse(statement)!r} in {notebook}"
            ) from None
    return found


def listed(text):
    """Return the parts of a parameter that lists several: "Set5, Set14" -> ["Set5", "Set14"], "" -> []."""
    return [part.strip() for part in text.split(",") if part.strip()]


def flat(cells):
    """Return the parameters of several notebooks, {notebook: {name: value}}, as one dict; the last value holds."""
    return {name: value for cell in cells.values() for name, value in cell.items()}


def beside(stem):
    """Return the path of a notebook that runs: in the folder where its kernel stands, else the checkout's."""
    path = Path(f"{stem}.ipynb").absolute()
    return path if path.is_file() else NOTEBOOKS / path.name


def described(stem):
    """Return group -> {name -> comment} of the parameters cell of a notebook that runs, in its order."""
    cells = nbformat.read(beside(stem), 4).cells
    (source,) = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    groups, title = {}, ""
    for line in source.splitlines():
        if line.startswith("# "):
            title = line.removeprefix("# ")
        elif match := re.match(r"(\w+) = .*?  # (.*)", line):
            groups.setdefault(title, {})[match[1]] = match[2]
    return groups


def read(name, *, folder=NOTEBOOKS):
    """Return a preset, {name: value}, given by the name of a file in notebooks/presets or by a path."""
    return _read_yaml(name, files.presets(folder), "preset")


def read_grid(name, *, folder=NOTEBOOKS):
    """Return {variation: overrides} of a grid, and its number of seeds.

    A grid is given by the name of a file in notebooks/presets/grids or by a path. Two entries of the file are not
    variations: the overrides in `common` apply to all of them, and `seeds` is the number of `replicas` of each, 1 if it
    is missing.
    """
    grid = _read_yaml(name, files.grids(folder), "grid")
    seeds = grid.pop("seeds", 1)
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds of a grid must be a whole number, at least 1. Received: {seeds!r} in {name}")
    for variation, overrides in grid.items():
        if not isinstance(overrides, dict | None) or not re.fullmatch(r"[A-Za-z][\w-]*", variation):
            raise ValueError(
                "a grid must be lines `variation: {parameter: value}`. "
                f"Received: {variation}: {overrides!r} in {name}"
            )
    common = grid.pop("common", None) or {}
    if not grid:
        raise ValueError(f"a grid must hold at least one variation. Received: {name}")
    return {variation: common | (overrides or {}) for variation, overrides in grid.items()}, seeds


def replicas(variations, seeds, *, seed, base=False):
    """Return variations (name -> overrides), each with `seeds` seeds: seed, seed + 1, seed + 2 …

    The additional ones are called NAME-seed1, NAME-seed2 …, by their seed. base: whether the run itself gets seed1,
    seed2 … as well.
    """
    others = {}
    for step in range(1, seeds):
        others |= {f"seed{seed + step}": {"seed": seed + step}} if base else {}
        for name, overrides in variations.items():
            number = overrides.get("seed", seed) + step
            others[f"{name}-seed{number}"] = overrides | {"seed": number}
    if taken := sorted(others.keys() & variations.keys()):
        raise ValueError(f"a grid with seeds must leave names of replicas free. Received: {', '.join(taken)}")
    return variations | others


def resolve(paths, *, preset=None, overrides=(), variation=None, folder=NOTEBOOKS):
    """Return the checked values for notebooks: those of the preset, updated by `overrides`, pairs of name and text.

    An override must be a parameter of a notebook that runs, or change a value of the preset.
    variation: overrides of a grid instead, which may belong to notebooks that do not run.
    """
    chain = {path: parameters(path) for path in paths}
    others = {path: parameters(path) for path in steps(folder=folder) if path not in chain}
    values = check(read(preset, folder=folder), chain=chain, others=others) if preset else {}
    required = {name for cell in chain.values() for name in cell} | values.keys()
    values |= check(dict(overrides), chain=chain, others=others, among=required)
    return values | check(variation or {}, chain=chain, others=others)


def check(values, *, chain, others, among=None):
    """Return `values` (name -> text or value) converted to the types in the parameters cells.

    chain, others: notebook -> parameters, for the notebooks that will run and for the others; a preset may have
    parameters of all of them. among: the only names allowed, if given. Raises ValueError with every problem, such as a
    number out of its range.
    """
    declared = {name: default for cells in (others, chain) for cell in cells.values() for name, default in cell.items()}
    typed, problems = {}, []
    for name, value in values.items():
        if name in RUNNER:
            problems.append(f"{name} is filled by the runner: {RUNNER[name]}")
        elif name not in declared:
            near = difflib.get_close_matches(name, declared, n=3)
            problems.append(f"no notebook has a parameter {name}" + f"; did you mean {' or '.join(near)}?" * bool(near))
        elif among is not None and name not in among:
            problems.append(f"{name} is a parameter of notebooks that are not to run")
        else:
            try:
                typed[name] = cast(value, declared[name])
                _require_range(name, typed[name])
            except ValueError as error:
                problems.append(f"{name} {error}")
    if problems:
        raise ValueError("every parameter must be known and of its type. Received:\n  " + "\n  ".join(problems))
    return typed


def cast(value, default):
    """Return `value` converted to the type of `default`; text is parsed as on a command line. Raises ValueError."""
    kind = type(default)
    wrong = ValueError(f"must be {_NAMES.get(kind, kind.__name__)}. Received: {value!r}")
    if kind is str or kind not in _NAMES:
        if not isinstance(value, kind):
            raise wrong
        return value
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() not in ("true", "false"):
            raise wrong
        return str(value).lower() == "true"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong
    if kind is int and not isinstance(value, float):
        try:
            return int(value)
        except ValueError:
            pass  # 1e6 is whole too
    try:  # text too: YAML 1.1 reads 1e-4 as text
        number = float(value)
    except ValueError:
        raise wrong from None
    if not math.isfinite(number) or (kind is int and not number.is_integer()):
        raise wrong
    return kind(number)


def _require_range(name, value):
    """Raise ValueError if a number is out of the range of its parameter."""
    for text, (holds, names) in RANGES.items():
        if name in names and isinstance(value, int | float) and not holds(value):
            raise ValueError(f"must be {text}. Received: {value!r}")


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _read_yaml(name, folder, kind):
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else folder / f"{name}.yaml"
    if not path.is_file():
        names = sorted(each.stem for each in folder.glob("*.yaml"))
        raise FileNotFoundError(
            f"a {kind} must be one of {', '.join(names) or 'none yet'}, or a file. Received: {name}"
        )
    try:
        text = path.read_text("utf-8")
        values, repeated = yaml.safe_load(text) or {}, _repeated(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"a {kind} must be YAML. Received: {path}: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"a {kind} must be lines `name: value`. Received: {path}")
    if repeated:
        raise ValueError(f"a {kind} must say every name once. Received: {path}: {', '.join(repeated)} more than once")
    return {str(name): value for name, value in values.items()}


def _repeated(text):
    """Return the keys that stand more than once in a YAML mapping or in one of its values: YAML lets the last win."""
    root = yaml.compose(text, yaml.SafeLoader)
    within = [value for _, value in root.value] if isinstance(root, yaml.MappingNode) else []
    mappings = [node for node in (root, *within) if isinstance(node, yaml.MappingNode)]
    keys = [[key.value for key, _ in mapping.value] for mapping in mappings]
    return sorted({str(key) for own in keys for key in own if own.count(key) > 1})
