//! A kernel table that a reload has left for another: what stands there goes once the same stands in the other, so that no path is plain in
//! between.

use super::Config;
use super::reconcile::Reconciler;
use core::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// On its way, until dropped; what still stands then, stays, but for leases.
#[derive(Debug)]
pub(super) struct Retiring {
    table: u32,
    task: JoinHandle<()>,
}

impl Retiring {
    /// Keeps what `former` has until `next` has read back all that is wanted, and then takes it away. On the runtime that is entered.
    pub(super) fn start(table: u32, former: Reconciler, next: &Reconciler) -> Self {
        let stands = next.stands();
        let task = tokio::spawn(async move {
            while !stands() {
                sleep(LOOK).await;
            }
            former.clear("its router has another table now");
            let clear = former.stands();
            while !clear() {
                sleep(LOOK).await;
            }
            tracing::info!(table, "empty, and not used any more");
        });
        Self { table, task }
    }

    /// Nothing of ours is in it any more.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Whether it is the table of this router.
    pub(super) fn is_of(&self, config: &Config) -> bool {
        matches!(config, Config::KernelTable(config) if config.table == self.table)
    }
}

impl Drop for Retiring {
    fn drop(&mut self) {
        self.task.abort();
    }
}
