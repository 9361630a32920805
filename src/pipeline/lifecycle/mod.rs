//! What keeps actors alive and within bounds: exits, pools, budgets, pauses.

pub(in crate::pipeline) mod actor_monitor;
pub(in crate::pipeline) mod byte_budget;
pub(in crate::pipeline) mod panic_retry;
pub(in crate::pipeline) mod run_context;
pub(in crate::pipeline) mod run_control;
pub(in crate::pipeline) mod sink_calls;
pub(in crate::pipeline) mod worker_pool;
