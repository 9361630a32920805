mod frames;
mod rows;
