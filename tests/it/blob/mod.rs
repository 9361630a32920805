//! Datasets in Azure Blob Storage.

mod access;
mod claims;
mod faults;
mod page;
mod readback;
