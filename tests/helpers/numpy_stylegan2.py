"""StyleGAN2's operators and networks in NumPy, written from the description alone: NCHW, a kernel per sample, float64."""
import numpy as np
from numpy_stylegan import D as V1Discriminator
from numpy_stylegan import MappedToW, Net, down, lerp, up

SQRT2 = 2 ** 0.5
ACTIVATIONS = {  # name: (function, gain)
    'linear': (lambda x: x, 1), 'relu': (lambda x: np.maximum(x, 0), SQRT2),
    'lrelu': (lambda x: np.where(x > 0, x, 0.2 * x), SQRT2), 'tanh': (np.tanh, 1),
    'sigmoid': (lambda x: 1 / (1 + np.exp(-x)), 1), 'elu': (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), 1),
    'selu': (lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))), 1),
    'softplus': (lambda x: np.logaddexp(x, 0), 1), 'swish': (lambda x: x / (1 + np.exp(-x)), SQRT2)}


def kernel_2d(k, gain=1.0):
    k = np.array([1, 1] if k is None else k, np.float64)
    k = np.outer(k, k) if k.ndim == 1 else k
    return k / k.sum() * gain


def upfirdn(x, k, up_by=1, down_by=1, y_pads=(0, 0), x_pads=(0, 0)):
    """One output at a time: every sample of the zero-filled, padded image under the flipped kernel."""
    n, c, h, w = x.shape
    filled = np.zeros([n, c, h * up_by, w * up_by])
    filled[:, :, ::up_by, ::up_by] = x
    padded = np.pad(filled, [(0, 0), (0, 0), *((max(a, 0), max(b, 0)) for a, b in (y_pads, x_pads))])
    (top, bottom), (left, right) = ([max(-pad, 0) for pad in pads] for pads in (y_pads, x_pads))
    padded = padded[:, :, top:padded.shape[2] - bottom, left:padded.shape[3] - right]
    kh, kw = k.shape
    rows, columns = range(0, padded.shape[2] - kh + 1, down_by), range(0, padded.shape[3] - kw + 1, down_by)
    result = np.zeros([n, c, len(rows), len(columns)])
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            result[:, :, i, j] = (padded[:, :, row:row + kh, column:column + kw] * k[::-1, ::-1]).sum((2, 3))
    return result


def valid(x, w, stride=1):
    """Correlation of fully covered positions. [N, in, H, W], [k, k, in, out]"""
    k, (h, width) = w.shape[0], x.shape[2:]
    return sum(np.einsum('nihw,io->nohw', x[:, :, i:h - k + 1 + i:stride, j:width - k + 1 + j:stride], w[i, j])
               for i in range(k) for j in range(k))


def same(x, w):
    p = w.shape[0] // 2
    return valid(np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)]), w)


def square(x, k, p0, p1, up_by=1, down_by=1):
    return upfirdn(x, k, up_by, down_by, (p0, p1), (p0, p1))


def filter_2d(x, k):
    k = kernel_2d(k)
    p = len(k) - 1
    return square(x, k, (p + 1) // 2, p // 2)


def upsample(x, k):
    k = kernel_2d(k, 4)
    p = len(k) - 2
    return square(x, k, (p + 1) // 2 + 1, p // 2, up_by=2)


def downsample(x, k):
    k = kernel_2d(k)
    p = len(k) - 2
    return square(x, k, (p + 1) // 2, p // 2, down_by=2)


def upsample_conv(x, w, k):
    """Zeros between samples, c - 1 around, correlation with w as it is stored, filter."""
    k, (n, i, h, width), c = kernel_2d(k, 4), x.shape, w.shape[0]
    spread = np.zeros([n, i, 2 * h - 1, 2 * width - 1])
    spread[:, :, ::2, ::2] = x
    y = valid(np.pad(spread, [(0, 0), (0, 0), (c - 1, c - 1), (c - 1, c - 1)]), w)
    p = (len(k) - 2) - (c - 1)
    return square(y, k, (p + 1) // 2 + 1, p // 2 + 1)


def conv_downsample(x, w, k):
    k = kernel_2d(k)
    p = (len(k) - 2) + (w.shape[0] - 1)
    return valid(square(x, k, (p + 1) // 2, p // 2), w, 2)


def modulated(x, s, w, k=None, scaling=None, demodulate=True):
    """Each sample with a kernel of its own."""
    done = []
    for image, scales in zip(x, s, strict=True):
        ww = w * scales[:, None]
        if demodulate:
            ww = ww / np.sqrt((ww ** 2).sum((0, 1, 2)) + 1e-8)
        one = image[None]
        done.append({'up': upsample_conv, 'down': conv_downsample}[scaling](one, ww, k) if scaling else same(one, ww))
    return np.concatenate(done)


class Revised(Net):
    """Net with StyleGAN2's gains."""

    def weight(self, name, gain=1.0, lrmul=1.0, variable='weight'):
        w = self.v[f'{name}/{variable}']
        return w * lrmul * (gain / np.sqrt(np.prod(w.shape[:-1])) if self.s.use_wscale else 1)

    def act(self, x):
        function, gain = ACTIVATIONS[self.s.nonlinearity]
        return gain * function(x)

    def rgb_weight(self, name):
        return self.weight(name)


class G(Revised, MappedToW):
    def scales(self, name, w):
        return w @ self.weight(name, variable='mod_weight') + self.v[f'{name}/mod_bias'] + 1

    def layer(self, x, name, w, index, scaling=None, noise=True):
        x = modulated(x, self.scales(name, w[:, index]), self.weight(name), self.s.resample_kernel, scaling)
        if noise:
            x = x + self.v[f'G_synthesis/noise{index}'] * self.v[f'{name}/noise_strength']
        return self.act(self.biased(x, name))

    def to_rgb(self, x, name, w):
        return self.biased(modulated(x, self.scales(name, w), self.weight(name), demodulate=False), name)

    def blocks(self, w, noise, residual):
        """(res, maps) from 4x4 up."""
        scope = 'G_synthesis/4x4'
        x = self.layer(np.repeat(self.v[f'{scope}/Const/const'], len(w), 0), f'{scope}/Conv', w, 0, noise=noise)
        yield 2, x
        for res in range(3, self.L + 1):
            scope, t = f'G_synthesis/{2 ** res}x{2 ** res}', x
            x = self.layer(x, f'{scope}/Conv0_up', w, 2 * res - 5, 'up', noise)
            x = self.layer(x, f'{scope}/Conv1', w, 2 * res - 4, noise=noise)
            if residual:
                x = (x + upsample_conv(t, self.weight(f'{scope}/Skip'), self.s.resample_kernel)) / SQRT2
            yield res, x

    def images(self, w, noise=True):
        """Of a network that does not grow."""
        architecture, y = self.s.G_architecture, None
        for res, x in self.blocks(w, noise, architecture == 'resnet'):
            if architecture == 'skip' or res == self.L:
                rgb = self.to_rgb(x, f'G_synthesis/{2 ** res}x{2 ** res}/ToRGB', w[:, 2 * res - 3])
                y = rgb if y is None else upsample(y, self.s.resample_kernel) + rgb
        return y

    def growing_images(self, w, lod, noise=True):
        rgbs = {self.L - res: self.to_rgb(x, f'G_synthesis/ToRGB_lod{self.L - res}', w[:, 2 * res - 3])
                for res, x in self.blocks(w, noise, False)}
        f, t = int(lod), lod - int(lod)
        return up(lerp(rgbs[f], up(rgbs[f + 1]), t) if t else rgbs[f], 2 ** f)


class D(Revised):
    stddev = V1Discriminator.stddev

    def conv(self, x, name):
        return self.act(self.biased(same(x, self.weight(name)), name))

    def conv_down(self, x, name):
        return self.act(self.biased(conv_downsample(x, self.weight(name), self.s.resample_kernel), name))

    def end(self, x, y):
        if self.s.mbstd_group_size > 1:
            x = np.concatenate([x, self.stddev(x)], 1)
        x = self.conv(x, '4x4/Conv')
        x = self.act(x.reshape(len(x), -1) @ self.weight('4x4/Dense0') + self.v['4x4/Dense0/bias'])
        x = x @ self.weight('Output') + self.v['Output/bias']
        return (x * y).sum(1) if self.label_size else x[:, 0]

    def scores(self, images, y=None):
        """Of a network that does not grow."""
        architecture, image, x = self.s.D_architecture, np.float64(images), None
        for res in range(self.L, 1, -1):
            scope = f'{2 ** res}x{2 ** res}'
            if architecture == 'skip' or res == self.L:
                entering = self.conv(image, f'{scope}/FromRGB')
                x = entering if x is None else x + entering
            if res > 2:
                t = x
                x = self.conv_down(self.conv(x, f'{scope}/Conv0'), f'{scope}/Conv1_down')
                if architecture == 'resnet':
                    x = (x + conv_downsample(t, self.weight(f'{scope}/Skip'), self.s.resample_kernel)) / SQRT2
                image = downsample(image, self.s.resample_kernel)
        return self.end(x, y)

    def growing_scores(self, images, lod, y=None):
        f, t = int(lod), lod - int(lod)
        from_rgb = lambda k: self.conv(down(np.float64(images), 2 ** k), f'FromRGB_lod{k}')  # noqa: E731
        x = from_rgb(f)
        for res in range(self.L - f, 2, -1):
            scope = f'{2 ** res}x{2 ** res}'
            x = self.conv_down(self.conv(x, f'{scope}/Conv0'), f'{scope}/Conv1_down')
            if res == self.L - f and t:
                x = lerp(x, from_rgb(f + 1), t)
        return self.end(x, y)
