"""What to look at.

figures   static figures: strips, curves, planes
inspector pictures of a scene under a line or side by side, zoomed, blinked, subtracted, as plain HTML
card      the card of a network that ships, from a finished run
controls  what a notebook asks its reader: controls, and the stills that they leave
web       a network that enlarges its reader's own pictures in the browser
embedded  pictures and files inside a page
charts    the curves of a training as inline SVG
panel     a training as it goes on, with a crop through time
article   what a report says of a run, in words and small tables
appendix  executed notebooks as they stand behind a report
report    a run's folder as one page that opens anywhere; its form is in templates/
blind     a test that asks people which of two results looks more like a photograph
overview  the index of all runs, and a site of it with their reports
"""
