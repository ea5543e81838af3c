"""Controls of the notebooks. Each asks Python while someone watches, and leaves its still where no kernel answers.

still       what a control leaves behind, and the control in its place
pointer     a photograph to click on
page        a piece of page with a script of its own
dial        perception and distortion between two networks
scatter     photograph by photograph
picker      runs, their curves over each other
trial       a photograph of one's own, enlarged
desk        a network's spec, its drawing, its cost, and what it sees
form        the parameters that people change, and what a training with them takes
gradients   where losses push a photograph, before and after a training
playground  degradations, and what they leave of a photograph
"""
