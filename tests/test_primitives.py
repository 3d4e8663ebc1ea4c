"""What is relied on of JAX is there."""

from jax.extend.core import primitives as known

from hnca.programs import primitives


def test_the_primitives_relied_on_are_there():
    names = {getattr(known, name).name for name in dir(known) if name.endswith("_p")}
    optional = {
        "random_wrap",
        "random_unwrap",
        "add_any",
        "expand_dims",
        "copy_p",
        "rng_bit_generator",
        "core_call",
        "random_bits",
    }
    missing = primitives.RELIED_ON - names - optional
    assert not missing
