"""The networks of the papers, as specs."""

SPECS = {}

# Ledig et al., arXiv 1609.04802v5, figure 4 (top). `skip="bilinear"` adds the bilinear picture to the output, which
# makes short trainings start from a good picture; the paper has no such skip.
SPECS["srresnet"] = {
    "name": "srresnet",
    "paper": "Ledig et al. 2017, figure 4, generator",
    "scale": 4,
    "blocks": 16,
    "width": 64,
    "normalization": "batch",
    "skip": "none",
    "where": {
        "residual": {"add": "k3n{width}s1 {normalization} prelu k3n{width}s1 {normalization}"},
    },
    "body": {
        "add": [
            "k9n{width}s1 prelu",
            {"add": [{"repeat": "residual", "times": "{blocks}"}, "k3n{width}s1 {normalization}"]},
            {"upscale": "k3n{width*factor*factor}s1 shuffle{factor} prelu", "by": "{scale}"},
            "k9n{channels}s1",
        ],
        "skip": "{skip}",
    },
}

# Ledig et al., figure 4 (bottom). The paper flattens the 6x6 maps of its 96x96 patches; pooling to a 6x6 grid is the
# same network there, and takes patches of any other size as well. grid=1 is global average pooling: far fewer weights.
SPECS["srgan_discriminator"] = {
    "name": "srgan_discriminator",
    "paper": "Ledig et al. 2017, figure 4, discriminator",
    "width": 64,
    "grid": 6,
    "normalization": "batch",
    "where": {
        "stage": "k3n{maps}s1 {normalization} lrelu(0.2) k3n{maps}s2 {normalization} lrelu(0.2)",
    },
    "body": [
        "k3n{width}s1 lrelu(0.2) k3n{width}s2 {normalization} lrelu(0.2)",
        "stage(maps={width*2}) stage(maps={width*4}) stage(maps={width*8})",
        "adaptive{grid} flatten dense{width*16} lrelu(0.2) dense1",
    ],
}
