"""Estimators: from a trace and an objective to the credit of every layer. One file each."""

from hnca.estimators._base import Estimator as Estimator
from hnca.estimators._base import estimate as estimate
from hnca.estimators._cost import Cost as Cost
from hnca.estimators._estimate import Estimate as Estimate
from hnca.estimators._estimate import Passes as Passes
from hnca.estimators._surrogate import direct_credits as direct_credits
from hnca.estimators._surrogate import surrogate as surrogate
from hnca.estimators.arm import ARM as ARM
from hnca.estimators.arms import ARMS as ARMS
from hnca.estimators.coupled_alternatives import CoupledAlternatives as CoupledAlternatives
from hnca.estimators.disarm import DisARM as DisARM
from hnca.estimators.double_control_variates import DoubleControlVariates as DoubleControlVariates
from hnca.estimators.exact import Exact as Exact
from hnca.estimators.first_order import FirstOrder as FirstOrder
from hnca.estimators.gapped_straight_through import GappedStraightThrough as GappedStraightThrough
from hnca.estimators.gumbel_rao import GumbelRao as GumbelRao
from hnca.estimators.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
from hnca.estimators.gumbel_softmax_straight_through import (
    StraightThroughGumbelSoftmax as StraightThroughGumbelSoftmax,
)
from hnca.estimators.hnca import HNCA as HNCA
from hnca.estimators.hnca_leave_one_out import LeaveOneOutHNCA as LeaveOneOutHNCA
from hnca.estimators.leave_one_out import LeaveOneOut as LeaveOneOut
from hnca.estimators.leave_one_out_independent import IndependentLeaveOneOut as IndependentLeaveOneOut
from hnca.estimators.leave_one_out_multi_sample import MultiSampleLeaveOneOut as MultiSampleLeaveOneOut
from hnca.estimators.local_disarm import LocalDisARM as LocalDisARM
from hnca.estimators.local_expectation import LocalExpectation as LocalExpectation
from hnca.estimators.muprop import MuProp as MuProp
from hnca.estimators.nvil import NVIL as NVIL
from hnca.estimators.rebar import REBAR as REBAR
from hnca.estimators.reinforce import REINFORCE as REINFORCE
from hnca.estimators.reinmax import ReinMax as ReinMax
from hnca.estimators.relax import RELAX as RELAX
from hnca.estimators.reweighted_wake_sleep import ReweightedWakeSleep as ReweightedWakeSleep
from hnca.estimators.rodeo import RODEO as RODEO
from hnca.estimators.straight_through import StraightThrough as StraightThrough
from hnca.estimators.unordered_set import UnorderedSet as UnorderedSet
from hnca.estimators.vimco import VIMCO as VIMCO
