"""What a user may set, checked when it is built. Imports no JAX, so that mistakes answer at once."""

from hnca.experiments.settings._base import TrainingSettings as TrainingSettings
from hnca.experiments.settings._checks import SettingsError as SettingsError
from hnca.experiments.settings.bandit import BanditSettings as BanditSettings
from hnca.experiments.settings.bench import BenchSettings as BenchSettings
from hnca.experiments.settings.compare import CompareSettings as CompareSettings
from hnca.experiments.settings.data import DataSettings as DataSettings
from hnca.experiments.settings.data_sets import DataSetSettings as DataSetSettings
from hnca.experiments.settings.figure import FigureSettings as FigureSettings
from hnca.experiments.settings.looking import ExportSettings as ExportSettings
from hnca.experiments.settings.looking import InfoSettings as InfoSettings
from hnca.experiments.settings.looking import ReportSettings as ReportSettings
from hnca.experiments.settings.running import KeepingSettings as KeepingSettings
from hnca.experiments.settings.running import ProcessSettings as ProcessSettings
from hnca.experiments.settings.vae import ABLATIONS as ABLATIONS
from hnca.experiments.settings.vae import VAESettings as VAESettings
