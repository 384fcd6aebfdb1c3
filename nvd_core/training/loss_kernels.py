"""The loops of `fast_losses.py`, compiled by Numba: values there, and gradients back.

All arrays are contiguous. Rows of `alphas` and `predicted` are points, then the pixels right of
them, then those below; a layer's `rows` say at which of them it was evaluated, each once.
"""

import numpy as np
from numba import njit

from nvd_core.training.losses import ALPHA_MARGIN, LEAST_DETERMINANT


@njit(cache=True, nogil=True)
def add_layer(out, alphas, n, rows, colour, residual):
    for i in range(len(rows)):
        row = rows[i]
        for c in range(3):
            out[row, c] += alphas[row, n] * (colour[i, c] * residual[i, c])


@njit(cache=True, nogil=True)
def back_layer(grad, alphas, rows, colour, residual, n, of_alphas, of_colour, of_residual):
    for i in range(len(rows)):
        row = rows[i]
        a = alphas[row, n]
        for c in range(3):
            g = grad[row, c]
            of_alphas[row, n] += g * colour[i, c] * residual[i, c]
            of_colour[i, c] = g * a * residual[i, c]
            of_residual[i, c] = g * a * colour[i, c]


@njit(cache=True, nogil=True)
def colour_errors(error, counted, rgb_wanted, gradient_wanted):
    """Sums over points at p, then right, then below; the first `counted` rows count as colours."""
    points = len(error) // 3
    rgb = gradient = 0.0
    for i in range(counted if rgb_wanted else 0):
        for c in range(3):
            rgb += error[i, c] * error[i, c]
    for i in range(points if gradient_wanted else 0):
        for c in range(3):
            in_x = error[points + i, c] - error[i, c]
            in_y = error[2 * points + i, c] - error[i, c]
            gradient += in_x * in_x + in_y * in_y
    return rgb / max(counted, 1), gradient / max(points, 1)


@njit(cache=True, nogil=True)
def back_colours(error, counted, of_rgb, of_gradient, out):
    points = len(error) // 3
    for i in range(len(error)):
        share = 2 * of_rgb / counted if i < counted else 0.0
        for c in range(3):
            out[i, c] = share * error[i, c]
    share = 2 * of_gradient / max(points, 1)
    for i in range(points):
        for c in range(3):
            in_x = share * (error[points + i, c] - error[i, c])
            in_y = share * (error[2 * points + i, c] - error[i, c])
            out[i, c] -= in_x + in_y
            out[points + i, c] += in_x
            out[2 * points + i, c] += in_y


@njit(cache=True, nogil=True)
def light_values(
    residual, uv, rest, delta, cells, cell, means, one_wanted, mean_wanted, smooth_wanted
):  # fmt: skip
    """Fills `cell` of every point, and `means` of every cell, of what is off `rest`."""
    count, points = len(residual), len(residual) // 3
    counts = np.zeros(len(means))
    one = mean = smooth = 0.0
    unit, half = type(uv[0, 0])(1), type(uv[0, 0])(cells / 2)  # as torch rounds them
    for i in range(count if mean_wanted else 0):
        column = int((uv[i, 0] + unit) * half)
        row = int((uv[i, 1] + unit) * half)
        cell[i] = min(max(row, 0), cells - 1) * cells + min(max(column, 0), cells - 1)
        counts[cell[i]] += 1
        for c in range(3):
            means[cell[i], c] += residual[i, c] - rest
    for k in range(len(means) if mean_wanted else 0):
        for c in range(3):
            total = means[k, c]
            means[k, c] = total / max(counts[k], 1)
            mean += total * means[k, c]
    for i in range(count if one_wanted else 0):
        for c in range(3):
            off = residual[i, c] - rest
            squared = off * off
            if delta > 0:
                squared = 2 * delta**2 * (np.sqrt(1 + squared / delta**2) - 1)
            one += squared
    for i in range(points if smooth_wanted else 0):
        for c in range(3):
            smooth += abs(residual[points + i, c] - residual[i, c])
            smooth += abs(residual[2 * points + i, c] - residual[i, c])
    return one / count, mean / count, smooth / max(points, 1)


@njit(cache=True, nogil=True)
def back_light(residual, rest, delta, cell, means, of_one, of_mean, of_smooth, out):
    count, points = len(residual), len(residual) // 3
    for i in range(count):
        for c in range(3):
            off = residual[i, c] - rest
            slope = 2 * off
            if delta > 0:
                slope /= np.sqrt(1 + off * off / delta**2)
            out[i, c] = (of_one * slope + of_mean * 2 * means[cell[i], c]) / count
    share = of_smooth / max(points, 1)
    for i in range(points):
        for c in range(3):
            in_x = share * np.sign(residual[points + i, c] - residual[i, c])
            in_y = share * np.sign(residual[2 * points + i, c] - residual[i, c])
            out[i, c] -= in_x + in_y
            out[points + i, c] += in_x
            out[2 * points + i, c] += in_y


@njit(cache=True, nogil=True)
def stretch_value(uv, scale):
    """J^T J = ((a, b), (b, d)) at every point."""
    points = len(uv) // 3
    total = 0.0
    for i in range(points):
        ru, rv = scale * (uv[points + i, 0] - uv[i, 0]), scale * (uv[points + i, 1] - uv[i, 1])
        j = 2 * points + i
        bu, bv = scale * (uv[j, 0] - uv[i, 0]), scale * (uv[j, 1] - uv[i, 1])
        a, b, d = ru * ru + rv * rv, ru * bu + rv * bv, bu * bu + bv * bv
        norm = np.sqrt(a * a + 2 * b * b + d * d + 1e-12)
        total += norm + norm / max(a * d - b * b, LEAST_DETERMINANT)
    return total / max(points, 1)


@njit(cache=True, nogil=True)
def back_stretch(uv, scale, grad, out):
    points = len(uv) // 3
    share = grad * scale / max(points, 1)
    for i in range(points):
        ru, rv = scale * (uv[points + i, 0] - uv[i, 0]), scale * (uv[points + i, 1] - uv[i, 1])
        j = 2 * points + i
        bu, bv = scale * (uv[j, 0] - uv[i, 0]), scale * (uv[j, 1] - uv[i, 1])
        a, b, d = ru * ru + rv * rv, ru * bu + rv * bv, bu * bu + bv * bv
        norm = np.sqrt(a * a + 2 * b * b + d * d + 1e-12)
        exact = a * d - b * b
        determinant = max(exact, LEAST_DETERMINANT)
        of_norm = (1 + 1 / determinant) / norm
        of_determinant = -norm / determinant**2 if exact >= LEAST_DETERMINANT else 0.0
        of_a = of_norm * a + of_determinant * d
        of_b = 2 * (of_norm * b - of_determinant * b)
        of_d = of_norm * d + of_determinant * a
        for axis in range(2):
            right, below = (ru, bu) if axis == 0 else (rv, bv)
            of_right = share * (2 * of_a * right + of_b * below)
            of_below = share * (2 * of_d * below + of_b * right)
            out[i, axis] = -(of_right + of_below)
            out[points + i, axis] = of_right
            out[j, axis] = of_below


@njit(cache=True, nogil=True)
def sparsity_value(alphas, rows, colour, n):
    total = 0.0
    for i in range(len(rows)):
        clear = 1 - alphas[rows[i], n]
        for c in range(3):
            total += (clear * colour[i, c]) ** 2
    return total / len(rows)


@njit(cache=True, nogil=True)
def back_sparsity(alphas, rows, colour, n, grad, of_alphas, of_colour):
    share = 2 * grad / len(rows)
    for i in range(len(rows)):
        clear = 1 - alphas[rows[i], n]
        for c in range(3):
            of_colour[i, c] = share * clear * clear * colour[i, c]
            of_alphas[rows[i], n] -= share * clear * colour[i, c] * colour[i, c]


@njit(cache=True, nogil=True)
def mask_value(alpha, coarse, weight):
    total = 0.0
    for i in range(len(alpha)):
        a = min(max(alpha[i], ALPHA_MARGIN), 1 - ALPHA_MARGIN)
        total -= weight[i] * (coarse[i] * np.log(a) + (1 - coarse[i]) * np.log(1 - a))
    return total / max(len(alpha), 1)


@njit(cache=True, nogil=True)
def back_mask(alpha, coarse, weight, grad, out):
    share = grad / max(len(alpha), 1)
    for i in range(len(alpha)):
        a = alpha[i]
        slope = 0.0
        if ALPHA_MARGIN <= a <= 1 - ALPHA_MARGIN:
            slope = share * weight[i] * ((1 - coarse[i]) / (1 - a) - coarse[i] / a)
        out[i] = slope


@njit(cache=True, nogil=True)
def alpha_binary_value(alphas):
    total = 0.0
    for i in range(len(alphas)):
        largest = alphas[i, 0]
        for n in range(1, alphas.shape[1]):
            largest = max(largest, alphas[i, n])
        total -= np.log(min(max(largest, ALPHA_MARGIN), 1 - ALPHA_MARGIN))
    return total / max(len(alphas), 1)


@njit(cache=True, nogil=True)
def back_alpha_binary(alphas, grad, out):
    share = grad / max(len(alphas), 1)
    for i in range(len(alphas)):
        largest, ties = alphas[i, 0], 1
        for n in range(1, alphas.shape[1]):
            if alphas[i, n] > largest:
                largest, ties = alphas[i, n], 1
            elif alphas[i, n] == largest:
                ties += 1
        if ALPHA_MARGIN <= largest <= 1 - ALPHA_MARGIN:
            for n in range(alphas.shape[1]):
                if alphas[i, n] == largest:
                    out[i, n] = -share / (largest * ties)
