//! Flags of `plan` and `status`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{OutputArguments, WatchArguments, values::span};

/// Flags of every command that asks a cluster.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArguments {
    /// Namespace of the shop [default: that of the manifest, where there is one, else of the context].
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig [default: the current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// File that says where the cluster is and who you are [default: those of $KUBECONFIG, else
    /// ~/.kube/config; in a pod, its service account].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// Flags of `plan`.
#[derive(Args, Debug)]
pub struct PlanArguments {
    /// Manifest with one Storefront or several; `-` is standard input.
    pub file: PathBuf,
    /// Plan as if the operator were upgraded to this command's version.
    #[arg(long)]
    pub upgrade: bool,
    /// End with 3 when something would change.
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// Flags of `status`.
#[derive(Args, Debug)]
pub struct StatusArguments {
    /// Show this one as a whole [default: a line for each of the namespace].
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Storefronts of every namespace.
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// Wait until the newest edit of all that is shown runs and is ready; end with 1 when it is not in
    /// time.
    #[arg(long, conflicts_with_all = ["watch", "check"])]
    pub wait: bool,
    /// How long to wait.
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = span, requires = "wait")]
    pub timeout: Duration,
    /// End with 3 when something that is shown is not ready, or nothing is there.
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
    #[command(flatten)]
    pub watch: WatchArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub cluster: ClusterArguments,
}
