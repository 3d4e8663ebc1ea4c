"""DisARM: antithetic pairs, with the noise that made them integrated out."""

from jaxtyping import Array, Float, Key

from hnca.estimators._antithetic import antithetic_second
from hnca.estimators._paired import PairedEstimator, Second
from hnca.units import Layer


class DisARM(PairedEstimator):
    r"""The antithetic two-sample estimator for Bernoulli and categorical layers, layer by layer.

    **Formula.** With `x = 1[u < p]` the layer's sample and `x' = 1[1 - u < p]` its antithetic one, each unit's credit
    is `1/2 (x - x') sigmoid(|a|) (f - f')`: nothing where the pair agrees. A categorical unit
    takes the first category whose stick is up, sticks being Bernoulli units in the order of the probabilities, and the
    pair's are antithetic. If the pair parts at category m, `c` is the probability of the likelier value of m's stick,
    `q` the distribution of what comes after it and `M` the category of the other sample, the unit's credit is `+-1/2 (c
    e_m - e_M + (1 - c) q) (f - f')`, plus where m is the trace's: DisARM on the sticks, of which all that the two
    categories do not tell is integrated out.

    **Bias.** None. **Cost.** As `LeaveOneOut`: one forward pass, and for every layer one more of what comes after it
    and one evaluation of the objective. Needs an objective that can be evaluated twice.

    Examples:
        Of a program, the seventh power of the number of three units that are 1:

        >>> def loss(logits, key):
        ...     return jnp.sum(hnca.bernoulli(key, logits)) ** 7
        >>> gradient = hnca.grad(loss, estimator=hnca.DisARM())
        >>> keys = jax.random.split(jax.random.key(0))
        >>> gradient(jnp.zeros(3), keys[0], estimator_key=keys[1]).shape
        (3,)

        Of a network: `hnca.estimate(hnca.DisARM(), encoder, objective, {"image": images}, key=key)`.

    **Reference.** Dong, Mnih and Tucker, *DisARM: An antithetic gradient estimator for binary latent variables*, 2020;
    under the name of U2G also Yin, Ho, Yan, Qian and Zhou, *Probabilistic best subset selection via gradient-based
    optimization*, 2020. For categories: Dong, Mnih and Tucker, *Coupled gradient estimators for discrete latent
    variables*, 2021.
    """

    def second(self, layer: Layer, key: Key[Array, ""], logits: Float[Array, "*logits"], values: Array) -> Second:
        return antithetic_second(self, layer, key, logits, values)
