"""The closed table of objectives: kind of loss -> class."""
from training.objectives.hinge import Hinge
from training.objectives.joint import Joint
from training.objectives.logistic import Logistic
from training.objectives.lsgan import LSGAN
from training.objectives.stylegan2 import StyleGAN2
from training.objectives.wgan_gp import WGANGP

OBJECTIVES = {'wgan_gp': WGANGP, 'logistic': Logistic, 'hinge': Hinge, 'lsgan': LSGAN, 'wgan_gp_joint': Joint,
               'stylegan2': StyleGAN2}
