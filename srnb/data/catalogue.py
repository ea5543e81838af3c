"""The known sets of photographs: where each comes from, what it holds, who may use it. Read by `datasets`."""

DIV2K = "http://data.vision.ee.ethz.ch/cvl/DIV2K/"
MIRROR = "https://huggingface.co/datasets/eugenesiow/{0}/resolve/main/data/{0}_HR.tar.gz"
BERKELEY = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/BSDS300-images.tgz"

# count: photographs by split. urls: archive -> checksum (None: its publisher gives none, the first copy is recorded).
# lr_urls: the same by scale. train, test: HR folders after unpacking. lr: LR folders. hint: what to do without `fetch`.
SETS = {
    "DIV2K": {
        "count": {"train": 800, "test": 100},
        "licence": "academic research only",
        "urls": {
            DIV2K + "DIV2K_train_HR.zip": "md5:bdc2d9338d4e574fe81bf7d158758658",
            DIV2K + "DIV2K_valid_HR.zip": "md5:9fcdda83005c5e5997799b69f955ff88",
        },
        "lr_urls": {
            2: {
                DIV2K + "DIV2K_train_LR_bicubic_X2.zip": "md5:9a637d2ef4db0d0a81182be37fb00692",
                DIV2K + "DIV2K_valid_LR_bicubic_X2.zip": "md5:1512c9a3f7bde2a1a21a73044e46b9cb",
            },
            3: {
                DIV2K + "DIV2K_train_LR_bicubic_X3.zip": "md5:ad80b9fe40c049a07a8a6c51bfab3b6d",
                DIV2K + "DIV2K_valid_LR_bicubic_X3.zip": "md5:18b1d310f9f88c13618c287927b29898",
            },
            4: {
                DIV2K + "DIV2K_train_LR_bicubic_X4.zip": "md5:76c43ec4155851901ebbe8339846d93d",
                DIV2K + "DIV2K_valid_LR_bicubic_X4.zip": "md5:21962de700c8d368c6ff83314480eff0",
            },
        },
        "train": "DIV2K_train_HR",
        "test": "DIV2K_valid_HR",
        "lr": "DIV2K_valid_LR_bicubic/X{scale}",
    },
    "Flickr2K": {
        "count": {"train": 2650},
        "licence": "of each photograph's owner (Flickr); research only",
        "urls": {"https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar": "md5:5d3f39443d5e9489bff8963f8f26cb03"},
        "train": "Flickr2K/Flickr2K_HR",
    },
    "DIV2F": {"count": {"train": 3450, "test": 100}, "licence": "as its parts", "parts": ("DIV2K", "Flickr2K")},
    "Set5": {"count": {"test": 5}, "licence": "research", "urls": {MIRROR.format("Set5"): None}, "test": "Set5_HR"},
    "Set14": {"count": {"test": 14}, "licence": "research", "urls": {MIRROR.format("Set14"): None}, "test": "Set14_HR"},
    "BSD100": {
        "count": {"test": 100},
        "licence": "non-commercial research and education",
        "urls": {MIRROR.format("BSD100"): None},
        "test": "BSD100_HR",
    },
    "BSD300": {
        "count": {"train": 200, "test": 100},
        "licence": "non-commercial research and education",
        "urls": {BERKELEY: "sha256:a5f7d0e49fe135c75518a3543ced24470156fd69305ae77845dff2a5138652b4"},
        "train": "BSDS300/images/train",
        "test": "BSDS300/images/test",
    },
    "Urban100": {
        "count": {"test": 100},
        "licence": "CC BY 4.0",
        "urls": {MIRROR.format("Urban100"): "md5:65d9d84a34b72c6f7ca1e26a12df1e4c"},
        "test": "Urban100_HR",
    },
    "Manga109": {
        "count": {"test": 109},
        "licence": "academic use, on request",
        "hint": "its publishers hand it out person by person and forbid passing it on: ask at http://www.manga109.org "
        "and put the 109 pictures into {folder}",
    },
}

# Photographs that scikit-image ("skimage") and scikit-learn ("sklearn") ship; licences in data/README.md.
SAMPLE = {
    "train": [
        ("sklearn", "flower.jpg"),
        ("skimage", "astronaut.png"),
        ("skimage", "rocket.jpg"),
        ("skimage", "ihc.png"),
        ("skimage", "hubble_deep_field.jpg"),
        ("skimage", "camera.png"),
        ("skimage", "coins.png"),
    ],
    "test": [
        ("skimage", "chelsea.png"),
        ("sklearn", "china.jpg"),
        ("skimage", "coffee.png"),
        ("skimage", "motorcycle_left.png"),
    ],
}
