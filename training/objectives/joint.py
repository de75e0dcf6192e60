"""WGAN-GP with one step for both networks, from one evaluation (ProGAN, section 6.5: CIFAR-10). Per example, float32."""
from training.objectives.objective import Update
from training.objectives.wgan_gp import WGANGP


class Joint(WGANGP):
    """G and D judge one minibatch of reals and fakes in the same state, and both move after that.

    It is as if each took its own step from that state. The fakes are the same for both, so G's have the labels of the reals
    too. Gs follows the new G. With `D_repeats` above 1, all D steps but the last come before, alone.
    """

    def round(self):
        *D_steps, last = (update for update in super().round() if update.trains == 'D')
        return [*D_steps, Update('DG', ('D_loss', 'G_loss'), self.both_losses, averages=True, minibatch=last.minibatch)]

    def both_losses(self, at, element, draws):
        """-> ((D's loss [N], G's), terms)."""
        D_loss, terms, fakes = self.judged(at, element, draws)
        G_loss, G_terms = self.of_judged_fakes(element.labels, *fakes)
        return (D_loss, G_loss), terms | G_terms
