"""What must hold whatever is drawn: names, ranges, the grid's layout, stored maps, sRGB."""

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nvd_core.cli.arguments import frame_range, size
from nvd_core.fields.hash_grid import kernel_numba, kernel_torch
from nvd_core.fields.hash_grid.grid import GridLayout
from nvd_core.media.images import decode_srgb, encode_srgb
from nvd_core.media.sequences import file_number, frame_path, is_pattern, list_frames
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.map_writer import write_maps
from nvd_core.shot.maps import LayerMaps, read_maps

# The same examples in every run: a failure is one that can be repeated, and so is success
few = settings(derandomize=True, max_examples=25, deadline=None, database=None)
many = settings(few, max_examples=200)

letters = st.text("abcXYZ_-. é", max_size=6)
digits = st.integers(1, 6)


SIGN = re.compile(r"(?:^|[^0-9A-Za-z)])-$")  # a minus before a number that is its sign


class TestSequences:
    @many
    @given(letters, digits, letters, st.integers(0, 10**7), st.sampled_from(["%0{}d", "#"]))
    def test_a_pattern_names_a_file_that_tells_its_number(self, before, width, after, n, style):
        assume(not SIGN.search(before))
        place = style.format(width) if "{" in style else style * width
        pattern = Path("clip") / f"{before}{place}{after}.png"
        path = frame_path(pattern, n)
        assert is_pattern(pattern) and not is_pattern(path)
        assert path == Path("clip") / f"{before}{str(n).zfill(width)}{after}.png"
        assert int(file_number(path)) == n

    @few
    @given(letters, digits, letters, st.integers(0, 10**5), st.integers(2, 9), st.randoms())
    def test_files_are_listed_in_the_order_of_their_numbers(
        self, before, width, after, first, count, random
    ):
        assume(not before.startswith("."))  # hidden
        assume(not SIGN.search(before))
        with tempfile.TemporaryDirectory() as name:
            pattern = Path(name) / f"{before}%0{width}d{after}.png"
            wanted = [frame_path(pattern, n) for n in range(first, first + count)]
            for path in random.sample(wanted, count):
                path.touch()
            assert list_frames(pattern) == wanted
            assert list_frames(pattern.parent) == wanted
            gone = random.randrange(1, count) if count > 2 else 0
            if 0 < gone < count - 1:
                wanted[gone].unlink()
                with pytest.raises(NvdError, match=rf"missing .*: {first + gone} "):
                    list_frames(pattern)
                with pytest.raises(NvdError, match=rf"missing .*: {first + gone} "):
                    list_frames(pattern.parent)


class TestArguments:
    @many
    @given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1))
    def test_a_range_of_frames(self, first, last):
        text = f"{first}-{last}"
        if first <= last:
            assert frame_range(text) == (first, last)
        else:
            with pytest.raises(argparse.ArgumentTypeError, match="A-B with A <= B"):
                frame_range(text)

    @many
    @given(st.text(max_size=12))
    def test_any_other_text_is_refused_in_words(self, text):
        for read in (frame_range, size):
            try:
                low, high = read(text)
            except argparse.ArgumentTypeError as error:
                assert "expected" in str(error)
            else:
                assert low >= 0 and high >= 0

    @many
    @given(st.integers(0, 20000), st.integers(0, 20000))
    def test_a_size(self, width, height):
        if all(16 <= side <= 16384 for side in (width, height)):
            assert size(f"{width}x{height}") == (width, height)
        else:
            with pytest.raises(argparse.ArgumentTypeError, match="from 16 to 16384"):
                size(f"{width}x{height}")


layouts = st.builds(
    GridLayout,
    dims=st.sampled_from([2, 3]),
    levels=st.integers(1, 6),
    features=st.integers(1, 4),
    log2_table=st.integers(3, 12),
    base=st.integers(1, 12),
    growth=st.floats(1, 2, width=32),
    kind=st.just("hash"),
)


class TestGrid:
    @many
    @given(layouts)
    def test_levels_lie_one_behind_the_other(self, layout):
        assert layout.resolutions == tuple(sorted(layout.resolutions))
        assert layout.resolutions[0] == layout.base
        starts = np.cumsum([0, *layout.level_entries])
        assert layout.offsets[: layout.levels] == tuple(starts[:-1])
        assert layout.entries == starts[-1]
        for n, side in enumerate(layout.resolutions):
            vertices, limit = side**layout.dims, 2**layout.log2_table
            assert layout.level_entries[n] <= limit
            assert layout.dense[n] == (vertices <= limit)
            if layout.dense[n]:
                assert vertices <= layout.level_entries[n] < vertices + 8

    @many
    @given(st.sampled_from([2, 3]), st.integers(1, 16), st.integers(1, 64), st.integers(0, 4000))
    def test_the_finest_level_is_as_fine_as_asked(self, dims, levels, base, more):
        layout = GridLayout.for_finest(dims, levels, base + more, base=base)
        assert layout.resolutions[-1] <= base + more
        assert layout.resolutions[-1] >= (base + more) * 0.999 - 1

    @few
    @given(layouts, st.integers(0, 2**31), st.integers(1, 40))
    def test_the_fast_kernel_equals_the_readable_one(self, layout, seed, points):
        """Inside the square and far outside: each index that is looked up lies in the table."""
        generator = torch.Generator().manual_seed(seed)
        options = {"generator": generator, "dtype": torch.float64}
        table = torch.randn(layout.entries, layout.features, **options)
        x = torch.rand(points, layout.dims, **options)
        x[::3] = x[::3] * 50 - 20
        results = []
        for kernel in (kernel_torch, kernel_numba):
            leaves = x.clone().requires_grad_(), table.clone().requires_grad_()
            out = kernel.encode(*leaves, layout)
            out.square().sum().backward()
            results.append([out.detach(), *(leaf.grad for leaf in leaves)])
        for ours, theirs in zip(*results, strict=True):
            assert (ours - theirs).abs().max() <= 1e-10 * max(1.0, ours.abs().max().item())


class TestMaps:
    @few
    @given(
        st.integers(0, 2**31),
        st.integers(1, 3),
        st.tuples(st.integers(1, 40), st.integers(1, 70)),
        st.tuples(st.integers(1, 8192), st.integers(1, 8192)),
    )
    def test_places_are_close_and_alpha_and_light_the_halves(self, seed, count, shape, texture):
        """Places as exact as a texel wants: MOST_ERROR texels, or what PXR24 itself drops."""
        random, names = np.random.default_rng(seed), [f"layer{n}" for n in range(count)]
        layers = [
            LayerMaps(
                *random.random((2, *shape), np.float32),
                random.random(shape, np.float32),
                random.normal(1, 2, (*shape, 3)).astype(np.float16),
                texture,
            )
            for _ in names
        ]
        with tempfile.TemporaryDirectory() as folder:
            write_maps(Path(folder) / "maps.exr", names, layers)
            found = read_maps(Path(folder) / "maps.exr", names)
        for n, layer in enumerate(layers):
            ours = found.layer(n)
            for place, stored, texels in ((layer.u, ours.u, 0), (layer.v, ours.v, 1)):
                assert np.abs(place - stored).max() <= 0.02 / texture[texels] + 8e-6
                assert stored.min() >= 0 and stored.max() <= 1
            assert np.array_equal(ours.residual, layer.residual)
            assert np.abs(ours.alpha - layer.alpha).max() <= 2**-16


light = st.floats(-1, 64, width=32)


class TestSrgb:
    @many
    @given(st.lists(light, min_size=1, max_size=50))
    def test_decoding_undoes_encoding(self, values):
        values = np.array(values, np.float32)
        back = decode_srgb(encode_srgb(values))
        assert back.dtype == np.float32
        np.testing.assert_allclose(back, values, rtol=3e-6, atol=2e-7)

    @many
    @given(light, light)
    def test_brighter_stays_brighter_also_above_1(self, one, other):
        low, high = sorted((one, other))
        for curve in (encode_srgb, decode_srgb):
            assert curve(low) <= curve(high)
        assert (encode_srgb(high) > 1) == (high > 1 and encode_srgb(high) != 1)
