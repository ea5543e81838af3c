"""SRResNet, its discriminator and their training step in plain PyTorch: what our benchmarks compare with.

Ledig et al. 2017, figure 4, layer for layer as `srresnet` and `srgan_discriminator` of the zoo, and the same work in a
step: L1, VGG16 features, the vanilla adversarial loss, Adam, one forward pass of the generator, a moving average of it.
What makes the picture computes in float32, as ours does. Fused Adam and `_foreach_lerp_` are the fastest that PyTorch
has for Adam and the average.
"""

import copy

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


class Generator(nn.Module):
    def __init__(self, *, blocks, width, skip):
        super().__init__()

        def convolution(maps=width):
            return nn.Conv2d(width, maps, 3, padding=1)

        def block():
            return Residual(convolution(), nn.BatchNorm2d(width), nn.PReLU(width), convolution(), nn.BatchNorm2d(width))

        self.skip = skip
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 9, padding=4),
            nn.PReLU(width),
            Residual(*(block() for _ in range(blocks)), convolution(), nn.BatchNorm2d(width)),
            *(layer for _ in range(2) for layer in (convolution(4 * width), nn.PixelShuffle(2), nn.PReLU(width))),
            nn.Conv2d(width, 3, 9, padding=4),
        )

    def forward(self, lr):
        if self.skip != "none":
            return self.layers(lr) + functional.interpolate(lr, scale_factor=4, mode=self.skip)
        maps = self.layers[:-1](lr)
        with torch.autocast(lr.device.type, enabled=False):  # a picture in bfloat16 would have steps of a level
            return self.layers[-1](maps.float())


def build_discriminator(*, width, grid):
    maps = [3, width, width, 2 * width, 2 * width, 4 * width, 4 * width, 8 * width, 8 * width]
    layers = []
    for number in range(8):
        layers.append(nn.Conv2d(maps[number], maps[number + 1], 3, stride=1 + number % 2, padding=1))
        layers += [nn.BatchNorm2d(maps[number + 1])] if number else []
        layers.append(nn.LeakyReLU(0.2))
    head = (nn.Linear(grid * grid * 8 * width, 16 * width), nn.LeakyReLU(0.2), nn.Linear(16 * width, 1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(grid), nn.Flatten(), *head)


def build_features(tap):
    """VGG16 up to the activation of a layer, as `models.features`: frozen, with random weights, which take as long."""
    last_block, last_convolution = (
        int(part[len(word) :]) for part, word in zip(tap.split("_"), ("block", "conv"), strict=True)
    )
    layers, maps = [], 3
    for block, (width, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        if block > last_block:
            break
        layers += [nn.MaxPool2d(2)] if block > 1 else []
        for _ in range(min(count, last_convolution) if block == last_block else count):
            layers += [nn.Conv2d(maps, width, 3, padding=1), nn.ReLU()]
            maps = width
    return nn.Sequential(*layers).requires_grad_(False)


def training_step(generator_options, discriminator_options, tap=None, *, channels_last, bfloat16, compiled=False):
    """Return `step(lr, hr) -> loss` on NHWC arrays, on a GPU if there is one, and the trained parameters by network.

    compiled: each network is passed through torch.compile.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.benchmark = True
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator = Generator(**generator_options).to(device, memory_format=layout)
    average = copy.deepcopy(generator)
    pairs = zip(average.state_dict().values(), generator.state_dict().values(), strict=True)
    averaged, followed = zip(*((a, b) for a, b in pairs if a.is_floating_point()), strict=True)
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True)
    networks = [generator]
    if discriminator_options:
        discriminator = build_discriminator(**discriminator_options).to(device, memory_format=layout)
        discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True)
        networks.append(discriminator)
    if tap:
        features = build_features(tap).to(device, memory_format=layout)
    for network in [*networks, *([features] if tap else [])] if compiled else ():
        network.compile()

    def loss_of(logits, target):
        return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    def move(optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def step(lr, hr):
        lr, hr = (
            torch.from_numpy(images).to(device).permute(0, 3, 1, 2).contiguous(memory_format=layout)
            for images in (lr, hr)
        )
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            sr = generator(lr)
            pixel = loss = functional.l1_loss(sr, hr)
            if tap:
                loss = loss + functional.l1_loss(features(sr), features(hr))
            if discriminator_options:
                discriminator.requires_grad_(False)
                loss = loss + 1e-3 * loss_of(discriminator(sr), 1.0)
        move(optimizer, loss)
        torch._foreach_lerp_(averaged, followed, 0.001)
        if discriminator_options:
            discriminator.requires_grad_(True)
            with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
                loss = loss_of(discriminator(hr), 1.0) + loss_of(discriminator(sr.detach()), 0.0)
            move(discriminator_optimizer, loss)
        return pixel

    return step, [sum(parameter.numel() for parameter in network.parameters()) for network in networks]


def upscaling(generator_options, *, channels_last, bfloat16):
    """Return `run(lr) -> sr` on float32 arrays (H, W, 3), on a GPU if there is one: inference mode, clipped."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator = Generator(**generator_options).to(device, memory_format=layout).eval()

    @torch.inference_mode()
    def run(lr):
        lr = torch.from_numpy(lr).to(device).permute(2, 0, 1)[None].contiguous(memory_format=layout)
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            sr = generator(lr)
        return sr[0].permute(1, 2, 0).float().clamp(0, 1).cpu().numpy()

    return run
