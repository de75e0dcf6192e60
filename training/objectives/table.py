"""The closed table of objectives: kind of loss -> class."""
from training.objectives.wgan_gp import WGANGP

OBJECTIVES = {'wgan_gp': WGANGP}
