"""The networks of the papers, as specs: copy one into a cell and change a line.

Generators map images in [0, 1] to images `scale` times as large, discriminators map images to logits. `scale` is 2, 3,
4 or 8. Where a paper works on the luma channel only, `channels=1` gives its network; the default is RGB.
"""

SPECS = {}

# Dong et al. 2014, figure 2, sizes 9-1-5
SPECS["srcnn"] = {
    "name": "srcnn",
    "paper": "Dong et al. 2014, figure 2",
    "scale": 4,
    "width": 64,
    "body": "bicubic k9n{width}s1 relu k1n{width/2}s1 relu k5n{channels}s1",
}

# Kim et al. 2016 (VDSR), figure 2: 20 layers, the network adds detail to the bicubic picture
SPECS["vdsr"] = {
    "name": "vdsr",
    "paper": "Kim et al. 2016, figure 2",
    "scale": 4,
    "blocks": 19,
    "width": 64,
    "conv": {"msra": 1},
    "body": ["bicubic", {"add": [{"repeat": "k3n{width}s1 relu", "times": "{blocks}"}, "k3n{channels}s1"]}],
}

# Tai et al. 2017 (DRRN B1U25), figure 3: one residual unit, used 25 times with the same convolutions; every turn adds
# the output of the first convolution. BatchNorm's statistics differ from turn to turn, so every turn has its own.
SPECS["drrn"] = {
    "name": "drrn",
    "paper": "Tai et al. 2017, figure 3, B1U25",
    "scale": 4,
    "blocks": 25,
    "width": 128,
    "normalization": "batch",
    "conv": {"msra": 1, "bias": False},
    "where": {
        "layer": "{normalization} relu k3n{maps}s1",
        "unit": {"add": "layer(maps={width}) layer(maps={width})", "skip": "recall(first)"},
    },
    "body": [
        "bicubic",
        {
            "add": [
                "layer(maps={width}) keep(first)",
                {"repeat": "unit", "times": "{blocks}", "shared": True},
                "layer(maps={channels})",
            ]
        },
    ],
}

# Lim et al. 2017, figure 3 and table 1. The mean colour is subtracted and the network computes in 0 … 255.
SPECS["edsr"] = {
    "name": "edsr",
    "paper": "Lim et al. 2017, figure 3 and table 1, EDSR",
    "scale": 4,
    "blocks": 32,
    "width": 256,
    "residual_scale": 0.1,
    "where": {"residual": {"add": "k3n{width}s1 relu k3n{width}s1", "scale": "{residual_scale}"}},
    "body": [
        {"rescale": {"scale": 255, "offset": [-114.444, -111.4605, -103.02]}},
        "k3n{width}s1",
        {"add": [{"repeat": "residual", "times": "{blocks}"}, "k3n{width}s1"]},
        {"upscale": "k3n{width*factor*factor}s1 shuffle{factor}", "by": "{scale}"},
        "k3n{channels}s1",
        {"rescale": {"scale": 0.00392156862745098, "offset": [0.4488, 0.4371, 0.404]}},
    ],
}

SPECS["edsr_baseline"] = {
    **SPECS["edsr"],
    "name": "edsr_baseline",
    "paper": "Lim et al. 2017, table 1, baseline",
    "blocks": 16,
    "width": 64,
    "residual_scale": 1.0,
}

# Ledig et al. 2017, figure 4, top. `skip="bilinear"` adds the bilinear picture to the output, so that a short training
# starts from a good one; the paper has no such skip. The paper does not state its initialisation: the last convolution
# starts near zero here, which leaves the skip's picture as it is (0.5 instead of 0.3 dB over bicubic after 900 steps).
# `attention` and `residual_scale` are not the paper's either: a word in front of the enlargement, where A-SRGAN has
# flexible_attention(pool=4), and the factor on a residual of EDSR and ESRGAN.
SPECS["srresnet"] = {
    "name": "srresnet",
    "paper": "Ledig et al. 2017, figure 4, generator",
    "scale": 4,
    "blocks": 16,
    "width": 64,
    "normalization": "batch",
    "residual_scale": 1.0,
    "attention": "none",
    "skip": "none",
    "where": {
        "residual": {
            "add": "k3n{width}s1 {normalization} prelu k3n{width}s1 {normalization}",
            "scale": "{residual_scale}",
        }
    },
    "body": {
        "add": [
            "k9n{width}s1 prelu",
            {"add": [{"repeat": "residual", "times": "{blocks}"}, "k3n{width}s1 {normalization}"]},
            "{attention}",
            {"upscale": "k3n{width*factor*factor}s1 shuffle{factor} prelu", "by": "{scale}"},
            "k9n{channels}s1(msra=0.01)",
        ],
        "skip": "{skip}",
    },
}

# The SRResNet of BasicSR, behind most public SRGAN weights: no BatchNorm, 3x3 kernels, bilinear skip
SPECS["msrresnet"] = {
    "name": "msrresnet",
    "paper": "MSRResNet of BasicSR, after Ledig et al. 2017",
    "scale": 4,
    "blocks": 16,
    "width": 64,
    "conv": {"msra": 0.1},
    "where": {"residual": {"add": "k3n{width}s1 relu k3n{width}s1"}},
    "body": {
        "add": [
            "k3n{width}s1 lrelu(0.1)",
            {"repeat": "residual", "times": "{blocks}"},
            {"upscale": "k3n{width*factor*factor}s1 shuffle{factor} lrelu(0.1)", "by": "{scale}"},
            "k3n{width}s1 lrelu(0.1) k3n{channels}s1",
        ],
        "skip": "bilinear",
    },
}

# Wang et al. 2018 (ESRGAN), figure 4: 23 blocks, or 16. MSRA x 0.1 in the dense blocks, as in the released code.
SPECS["rrdb"] = {
    "name": "rrdb",
    "paper": "Wang et al. 2018, figure 4",
    "scale": 4,
    "blocks": 23,
    "width": 64,
    "growth": 32,
    "residual_scale": 0.2,
    "where": {
        "grow": {"concat": "k3n{growth}s1(msra=0.1) lrelu(0.2)"},
        "rdb": {"add": [{"repeat": "grow", "times": 4}, "k3n{width}s1(msra=0.1)"], "scale": "{residual_scale}"},
        "rrdb": {"add": {"repeat": "rdb", "times": 3}, "scale": "{residual_scale}"},
    },
    "body": [
        "k3n{width}s1",
        {"add": [{"repeat": "rrdb", "times": "{blocks}"}, "k3n{width}s1"]},
        {"upscale": "nearest{factor} k3n{width}s1 lrelu(0.2)", "by": "{scale}"},
        "k3n{width}s1 lrelu(0.2) k3n{channels}s1",
    ],
}

# Wang et al. 2021 (Real-ESRGAN), figure 4 and released code (x2plus): for smaller scales RRDB computes on LR pixels
# folded into channels, and enlarges as much as for x4. Sides of LR are multiples of `unshuffle`.
SPECS["rrdb_unshuffle"] = {
    **SPECS["rrdb"],
    "name": "rrdb_unshuffle",
    "paper": "Wang et al. 2021, figure 4, x2",
    "scale": 2,
    "unshuffle": 2,
    "body": [
        "unshuffle{unshuffle}",
        *SPECS["rrdb"]["body"][:2],
        SPECS["rrdb"]["body"][2] | {"by": "{scale*unshuffle}"},
        SPECS["rrdb"]["body"][3],
    ],
}

# Johnson et al. 2016, section 4.2: residual blocks without a ReLU behind the sum, then one fractionally strided
# convolution for each doubling. The sizes are those of the supplement as remembered, not verified. The paper scales its
# tanh to 0 … 255; here it ends in [0, 1].
SPECS["johnson"] = {
    "name": "johnson",
    "paper": "Johnson et al. 2016, section 4.2 and supplement, super-resolution",
    "scale": 4,
    "blocks": 4,
    "width": 64,
    "normalization": "batch",
    "where": {"residual": {"add": "k3n{width}s1 {normalization} relu k3n{width}s1 {normalization}"}},
    "body": [
        "k9n{width}s1 {normalization} relu",
        {"repeat": "residual", "times": "{blocks}"},
        {"upscale": "k3n{width}s1/{factor} {normalization} relu", "by": "{scale}"},
        "k9n{channels}s1 tanh rescale(0.5, 0.5)",
    ],
}

# Zhang et al. 2018 (RCAN), figures 2 to 4: residual in residual, channel attention in every block
SPECS["rcan"] = {
    "name": "rcan",
    "paper": "Zhang et al. 2018, figures 2 to 4",
    "scale": 4,
    "groups": 10,
    "blocks": 20,
    "width": 64,
    "reduction": 16,
    "where": {
        "rcab": {"add": "k3n{width}s1 relu k3n{width}s1 channel_attention({reduction})"},
        "group": {"add": [{"repeat": "rcab", "times": "{blocks}"}, "k3n{width}s1"]},
    },
    "body": [
        "k3n{width}s1",
        {"add": [{"repeat": "group", "times": "{groups}"}, "k3n{width}s1"]},
        {"upscale": "k3n{width*factor*factor}s1 shuffle{factor}", "by": "{scale}"},
        "k3n{channels}s1",
    ],
}

# Pathak et al. 2018 (A-SRGAN), as re-implemented in public: attention on pooled maps in front of the enlargement
SPECS["asrgan_generator"] = {
    "name": "asrgan_generator",
    "paper": "Pathak et al. 2018, after a public re-implementation",
    "scale": 4,
    "blocks": 5,
    "width": 64,
    "pool": 4,
    "conv": {"spectral": True},
    "where": {"residual": {"add": "k3n{width}s1 batch prelu k3n{width}s1 batch prelu"}},
    "body": [
        "k9n{width}s1 prelu",
        {"add": [{"repeat": "residual", "times": "{blocks}"}, "k3n{width}s1 batch"]},
        "flexible_attention(pool={pool}, spectral=true)",
        {"upscale": "k3n{width*factor*factor}s1 shuffle{factor} prelu", "by": "{scale}"},
        "k9n{channels}s1",
    ],
}

# Ledig et al. 2017, figure 4, bottom. The paper flattens the 6x6 maps of its 96x96 patches; pooling to a 6x6 grid is
# the same network there, and takes patches of any other size too. grid=1 is global average pooling: far fewer weights.
# `attention` is a word behind the sixth convolution, where A-SRGAN has flexible_attention(pool=4).
SPECS["srgan_discriminator"] = {
    "name": "srgan_discriminator",
    "paper": "Ledig et al. 2017, figure 4, discriminator",
    "width": 64,
    "grid": 6,
    "normalization": "batch",
    "attention": "none",
    "where": {"stage": "k3n{maps}s1 {normalization} lrelu(0.2) k3n{maps}s2 {normalization} lrelu(0.2)"},
    "body": [
        "k3n{width}s1 lrelu(0.2) k3n{width}s2 {normalization} lrelu(0.2)",
        "stage(maps={width*2}) stage(maps={width*4}) {attention} stage(maps={width*8})",
        "adaptive{grid} flatten dense{width*16} lrelu(0.2) dense1",
    ],
}

# The discriminator of ESRGAN's released code, for 128x128 patches: kernels of 4 where it halves the maps. Its
# convolutions leave the shift to BatchNorm and have no bias; with normalization="none" they still have none.
SPECS["esrgan_discriminator"] = {
    "name": "esrgan_discriminator",
    "paper": "Wang et al. 2018, released code (VGG style, 128)",
    "width": 64,
    "grid": 4,
    "normalization": "batch",
    "where": {
        "half": "k4n{maps}s2(bias=false) {normalization} lrelu(0.2)",
        "stage": "k3n{maps}s1(bias=false) {normalization} lrelu(0.2) half(maps={maps})",
    },
    "body": [
        "k3n{width}s1 lrelu(0.2) half(maps={width})",
        "stage(maps={width*2}) stage(maps={width*4}) stage(maps={width*8}) stage(maps={width*8})",
        "adaptive{grid} flatten dense100 lrelu(0.2) dense1",
    ],
}

# Isola et al. 2017 (pix2pix), appendix: one logit for each patch of 70x70 pixels
SPECS["patch_discriminator"] = {
    "name": "patch_discriminator",
    "paper": "Isola et al. 2017, section 6.1.2, 70x70",
    "width": 64,
    "normalization": "batch",
    "body": [
        "k4n{width}s2 lrelu(0.2) k4n{width*2}s2 {normalization} lrelu(0.2) k4n{width*4}s2 {normalization} lrelu(0.2)",
        "k4n{width*8}s1 {normalization} lrelu(0.2) k4n1s1",
    ],
}

# Wang et al. 2021 (Real-ESRGAN), figure 5 and released code: one logit for each pixel; sides must be multiples of 8
SPECS["unet_sn_discriminator"] = {
    "name": "unet_sn_discriminator",
    "paper": "Wang et al. 2021, U-Net with spectral normalisation",
    "width": 64,
    "conv": {"spectral": True, "bias": False},
    "where": {
        "down": "k4n{maps}s2 lrelu(0.2)",
        "up": "bilinear2 k3n{maps}s1 lrelu(0.2)",
    },
    "body": [
        "k3n{width}s1(spectral=false, bias=true) lrelu(0.2)",
        {
            "add": [
                "down(maps={width*2})",
                {
                    "add": [
                        "down(maps={width*4})",
                        {"add": "down(maps={width*8}) up(maps={width*4})"},
                        "up(maps={width*2})",
                    ]
                },
                "up(maps={width})",
            ]
        },
        "k3n{width}s1 lrelu(0.2) k3n{width}s1 lrelu(0.2) k3n1s1(spectral=false, bias=true)",
    ],
}

# Pathak et al. 2018, as re-implemented in public: the SRGAN stack without BatchNorm, attention behind its sixth
# convolution, 1x1 convolutions for dense layers, so that it gives a map of logits
SPECS["asrgan_discriminator"] = {
    "name": "asrgan_discriminator",
    "paper": "Pathak et al. 2018, after a public re-implementation",
    "width": 64,
    "pool": 4,
    "conv": {"spectral": True},
    "where": {"stage": "k3n{maps}s1 lrelu(0.2) k3n{maps}s2 lrelu(0.2)"},
    "body": [
        "stage(maps={width}) stage(maps={width*2}) stage(maps={width*4})",
        "flexible_attention(pool={pool}, spectral=true)",
        "stage(maps={width*8}) k1n{width*16}s1 lrelu(0.2) k1n1s1",
    ],
}

# The network that ships: residual blocks of EDSR (Lim et al. 2017, figure 2) on LR pixels, one pixel shuffle at the
# end, and MSRResNet's bilinear skip. What the ablations add stands where SRResNet has it.
SPECS["compact"] = {
    "name": "compact",
    "paper": "ours, of the blocks of Lim et al. 2017, figure 2",
    "scale": 4,
    "width": 48,
    "blocks": 8,
    "normalization": "none",
    "residual_scale": 1.0,
    "attention": "none",
    "where": {
        "residual": {
            "add": "k3n{width}s1 {normalization} relu k3n{width}s1 {normalization}",
            "scale": "{residual_scale}",
        }
    },
    "body": {
        "add": [
            "k3n{width}s1",
            {"add": [{"repeat": "residual", "times": "{blocks}"}, "k3n{width}s1 {normalization}"]},
            "{attention}",
            "k3n{channels*scale*scale}s1(msra=0.01) shuffle{scale}",
        ],
        "skip": "bilinear",
    },
}

# `compact` as wide as EDSR's baseline, its blocks gated by pixel attention: each value is multiplied by one of its own
# in [0, 1], from all maps at its place (Zhao et al. 2020, section 3.2). A gate looks at one pixel, so tiles stay exact.
SPECS["gated"] = {
    **SPECS["compact"],
    "name": "gated",
    "paper": "ours, of the blocks of Lim et al. 2017, figure 2, and the gate of Zhao et al. 2020, section 3.2",
    "width": 64,
    "blocks": 11,
    "where": {
        "residual": {
            "add": [
                "k3n{width}s1 {normalization} relu k3n{width}s1 {normalization}",
                {"multiply": "k1n{width}s1 sigmoid"},
            ],
            "scale": "{residual_scale}",
        }
    },
}

# SRVGGNetCompact of Real-ESRGAN's released code: 32 convolutions between the first and the last in
# realesr-general-x4v3, 16 in realesr-animevideov3; all on LR pixels, one pixel shuffle, the nearest pixel added
SPECS["srvgg"] = {
    "name": "srvgg",
    "paper": "SRVGGNetCompact of Real-ESRGAN's released code, after Wang et al. 2021",
    "scale": 4,
    "blocks": 32,
    "width": 64,
    "body": {
        "add": [
            "k3n{width}s1 prelu",
            {"repeat": "k3n{width}s1 prelu", "times": "{blocks}"},
            "k3n{channels*scale*scale}s1 shuffle{scale}",
        ],
        "skip": "nearest",
    },
}
