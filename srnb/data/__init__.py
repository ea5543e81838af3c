"""From photographs to batches. Nothing but `resident` needs TensorFlow or JAX.

images      any image file to a float RGB picture in [0, 1], and back
decoding    the bytes of a file to pixels: depth, colour profile, transparency
tiff        what is wrong with a TIFF file that Pillow opens
png         PNG written strip by strip
resize      MATLAB-exact bicubic
degrade     HR to LR: named, versioned degradations
realesrgan  the random one, of photographs and fast of patches
filters     blur kernels; blur and resize, by steps or by matrices
datasets    the sets of the field, the sample, your own folders: which files, split
catalogue   where each set comes from, what is in it, who may use it
downloads   archives from the network: whole or not at all, checked, unpacked
duplicates  photographs of the same scene, found by perceptual hash
shards      photographs decoded once, on disk: a pool, and an index for every set
resident    batches cut in the accelerator's memory
processes   those that make batches where threads would wait for one another
patches     shards to batches of (lr, hr), a function of (seed, step)
"""
