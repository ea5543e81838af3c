"""What to look at.

figures   static figures: strips, curves, planes
inspector pictures of a scene under a line or side by side, zoomed, blinked, subtracted, as plain HTML
card      the card of a network that ships, from a finished run
widgets   controls of the notebooks
web       a network that enlarges its reader's own pictures in the browser
report    a run's folder as one page that opens anywhere, and the index of all runs; its form is in templates/
"""
