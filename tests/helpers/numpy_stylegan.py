"""StyleGAN's networks in NumPy, written from the description alone: NCHW, every block at every lod, float64."""
import numpy as np


def correlate(x, w):
    """SAME correlation. [N, in, H, W], [k, k, in, out] -> [N, out, H, W]"""
    k = w.shape[0]
    padded = np.pad(x, [(0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)])
    h, width = x.shape[2:]
    return sum(np.einsum('nihw,io->nohw', padded[:, :, i:i + h, j:j + width], w[i, j]) for i in range(k) for j in range(k))


def up(x, n=2):
    return x.repeat(n, 2).repeat(n, 3)


def down(x, n=2):
    return x.reshape(*x.shape[:2], x.shape[2] // n, n, x.shape[3] // n, n).mean((3, 5))


def blur(x):
    k = np.outer([1, 2, 1], [1, 2, 1]) / 16
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    return sum(k[i, j] * padded[:, :, i:i + x.shape[2], j:j + x.shape[3]] for i in range(3) for j in range(3))


def lerp(a, b, t):
    return a + (b - a) * t


def pixel_norm(x):
    return x / np.sqrt((x ** 2).mean(1, keepdims=True) + 1e-8)


class Net:
    """Variables by the reference's names, and the settings of the network that holds them."""

    def __init__(self, network):
        self.v = {name: variable.numpy().astype(np.float64) for name, variable in network.named_variables().items()}
        self.s, self.L, self.label_size = network.settings, network.resolution_log2, network.label_size

    def weight(self, name, gain=2 ** 0.5, lrmul=1.0):
        w = self.v[f'{name}/weight']
        return w * lrmul * (gain / np.sqrt(np.prod(w.shape[:-1])) if self.s.use_wscale else 1)

    def act(self, x):
        return np.maximum(x, 0) if self.s.nonlinearity == 'relu' else np.where(x >= 0, x, 0.2 * x)

    def blurred(self, x):
        return blur(x) if self.s.use_blur else x

    def biased(self, x, name):
        return x + self.v[f'{name}/bias'][:, None, None]

    def rgb_weight(self, name):
        return self.weight(name, gain=1.0 if 'ToRGB' in name else np.sqrt(2))


class MappedToW(Net):
    """A generator's way to w."""

    def map(self, z, y=None):
        s, x = self.s, np.float64(z)
        if self.label_size:
            x = np.concatenate([x, y @ self.v['G_mapping/LabelConcat/weight']], 1)
        if s.normalize_latents:
            x = pixel_norm(x)
        for i in range(s.mapping_layers):
            name = f'G_mapping/Dense{i}'
            x = self.act(x @ self.weight(name, lrmul=s.mapping_lrmul) + self.v[f'{name}/bias'] * s.mapping_lrmul)
        return x[:, None].repeat(2 * self.L - 2 if getattr(s, 'use_styles', True) else 1, 1)

    def truncate(self, w, psi, cutoff):
        w = w.copy()
        w[:, :cutoff] = lerp(self.v['dlatent_avg'], w[:, :cutoff], psi)
        return w


class G(MappedToW):
    def layer(self, x, name, w, index, noise):
        s, v = self.s, self.v
        if s.use_noise and noise:
            x = x + v[f'G_synthesis/noise{index}'] * v[f'{name}/Noise/weight'][:, None, None]
        x = self.act(self.biased(x, name))
        if s.use_pixel_norm:
            x = pixel_norm(x)
        if s.use_instance_norm:
            x = x - x.mean((2, 3), keepdims=True)
            x = x / np.sqrt((x ** 2).mean((2, 3), keepdims=True) + 1e-8)
        if s.use_styles:
            a = w[:, index] @ self.weight(f'{name}/StyleMod', gain=1.0) + v[f'{name}/StyleMod/bias']
            scale, shift = np.split(a[:, :, None, None], 2, 1)
            x = x * (scale + 1) + shift
        return x

    def images(self, w, lod, noise=True):
        s, rgbs = self.s, {}
        for res in range(2, self.L + 1):
            scope = f'G_synthesis/{2 ** res}x{2 ** res}'
            if res == 2 and s.const_input_layer:
                name = f'{scope}/Const'
                x = np.repeat(self.v[f'{name}/const'], len(w), 0)
            elif res == 2:
                name = f'{scope}/Dense'
                x = (w[:, 0] @ self.weight(name, gain=np.sqrt(2) / 4)).reshape(len(w), -1, 4, 4)
            else:
                name, kernel = f'{scope}/Conv0_up', self.weight(f'{scope}/Conv0_up')
                if s.fused_scale is True or s.fused_scale == 'auto' and 2 ** res >= 128:
                    kernel = kernel[::-1, ::-1]
                x = self.blurred(correlate(up(x), kernel))
            x = self.layer(x, name, w, 2 * res - 4, noise)
            name = f'{scope}/{"Conv" if res == 2 else "Conv1"}'
            x = self.layer(correlate(x, self.weight(name)), name, w, 2 * res - 3, noise)
            name = f'G_synthesis/ToRGB_lod{self.L - res}'
            rgbs[self.L - res] = self.biased(correlate(x, self.rgb_weight(name)), name)
        f, t = int(lod), lod - int(lod)
        return up(lerp(rgbs[f], up(rgbs[f + 1]), t) if t else rgbs[f], 2 ** f)


class D(Net):
    def scores(self, images, lod, y=None):
        f, t, s = int(lod), lod - int(lod), self.s
        from_rgb = lambda k: self.act(self.biased(  # noqa: E731
            correlate(down(np.float64(images), 2 ** k), self.rgb_weight(f'FromRGB_lod{k}')), f'FromRGB_lod{k}'))
        x = from_rgb(f)
        for res in range(self.L - f, 2, -1):
            scope = f'{2 ** res}x{2 ** res}'
            x = self.act(self.biased(correlate(x, self.weight(f'{scope}/Conv0')), f'{scope}/Conv0'))
            x = down(correlate(self.blurred(x), self.weight(f'{scope}/Conv1_down')))
            x = self.act(self.biased(x, f'{scope}/Conv1_down'))
            if res == self.L - f and t:
                x = lerp(x, from_rgb(f + 1), t)
        if s.mbstd_group_size > 1:
            x = np.concatenate([x, self.stddev(x)], 1)
        x = self.act(self.biased(correlate(x, self.weight('4x4/Conv')), '4x4/Conv'))
        x = self.act(x.reshape(len(x), -1) @ self.weight('4x4/Dense0') + self.v['4x4/Dense0/bias'])
        x = x @ self.weight('4x4/Dense1', gain=1.0) + self.v['4x4/Dense1/bias']
        return (x * y).sum(1) if self.label_size else x[:, 0]

    def stddev(self, x):
        g, features = min(self.s.mbstd_group_size, len(x)), self.s.mbstd_num_features
        count = len(x) // g
        found = np.zeros([len(x), features, *x.shape[2:]])
        for m in range(count):
            group = x[m::count]
            deviation = np.sqrt(group.var(0) + 1e-8)  # [C, H, W]
            for k, run in enumerate(np.split(deviation, features)):
                found[m::count, k] = run.mean()
        return found
