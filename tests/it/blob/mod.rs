//! Datasets in Azure Blob Storage.

mod access;
mod claims;
mod faults;
mod logins;
mod page;
mod readback;
