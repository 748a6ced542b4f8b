//! The command line of the tank.

#[cfg(madsim)]
fn main() {
    use clap::Parser;
    tank::cli::end_with_the_reader();
    std::process::exit(tank::cli::main(tank::cli::args::Args::parse()));
}

#[cfg(not(madsim))]
fn main() {
    eprintln!("the tank is a simulator: build it with plain cargo, without the real build's configuration");
    std::process::exit(2);
}
