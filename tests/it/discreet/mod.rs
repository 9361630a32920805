//! Discreet: what conversations say, and secrets, stay where they belong.

mod canary;
mod private_files;
mod secrets;
mod terminal;
