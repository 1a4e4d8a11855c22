//! `cutover init`: a commented file to start from, and the unit that brings everything back after a reboot.

use std::io::Write as _;

use cutover_model::{ApplicationName, ExitCode};

use crate::cli::{Globals, Init};
use crate::context::{Context, absolute};
use crate::failure::{Failure, Outcome};
use crate::render::Printer;
use crate::world::this_program;

pub(super) fn run(globals: &Globals, printer: &Printer, init: &Init) -> Outcome {
    if init.systemd {
        return unit(globals, printer);
    }
    let path = absolute(&globals.config)?;
    let name = match &init.application {
        Some(name) => name.parse::<ApplicationName>().map_err(|error| {
            Failure::new(
                "usage.bad-name",
                error.to_string(),
                "cutover init --application shop",
            )
        })?,
        None => named_by(path.parent()),
    };
    let text = cutover_spec::init_template(name.as_str());
    let shown = globals.config.display();
    let made = std::fs::File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            Failure::new(
                "config.exists",
                format!("{shown} is there already"),
                "cutover check",
            )
        } else {
            Failure::new(
                "config.unwritable",
                format!("cannot write {shown}: {error}"),
                "ls -ld .",
            )
        }
    })?;
    if printer.is_json() {
        printer.json_pretty(&serde_json::json!({ "written": path, "application": name }));
    } else {
        printer.told(&format!(
            "Wrote {shown}, for {name}. Next: fit it to your application, then\n  cutover check\n"
        ));
    }
    Ok(ExitCode::Done)
}

/// A folder's name as far as it is one for an application.
fn named_by(folder: Option<&std::path::Path>) -> ApplicationName {
    let name = folder
        .and_then(|folder| folder.file_name())
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let mapped: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let trimmed: String = mapped.trim_matches('-').chars().take(63).collect();
    trimmed
        .trim_end_matches('-')
        .parse()
        .unwrap_or_else(|_| "shop".parse().expect("it is a name"))
}

/// A unit that starts the supervisor at boot; it starts everything else again.
fn unit(globals: &Globals, printer: &Printer) -> Outcome {
    let ctx = Context::open(globals, printer.clone())?;
    let program = this_program()?;
    let folder = ctx.state.own();
    let root = nix::unistd::geteuid().is_root();
    let target = if root {
        "multi-user.target"
    } else {
        "default.target"
    };
    let scope = if root { "" } else { " --user" };
    let unit = format!("cutover-{}-{}.service", ctx.name, ctx.environment);
    let place = if root {
        "/etc/systemd/system"
    } else {
        "~/.config/systemd/user"
    };
    printer.data(&format!(
        "# {place}/{unit}\n\
         # then: systemctl{scope} daemon-reload && systemctl{scope} enable --now {unit}\n\
         [Unit]\n\
         Description=Instances and proxy of {name} ({environment}), by Cutover\n\
         After=network-online.target\n\
         Wants=network-online.target\n\
         \n\
         [Service]\n\
         ExecStart={program} supervise --state-dir {folder}\n\
         Restart=always\n\
         # Instances and proxy are not ended with the supervisor: the next one takes them over.\n\
         KillMode=process\n\
         \n\
         [Install]\n\
         WantedBy={target}\n",
        name = ctx.name,
        environment = ctx.environment,
        program = program.display(),
        folder = folder.display(),
    ));
    Ok(ExitCode::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_the_application() {
        let name = |path: &str| named_by(Some(std::path::Path::new(path))).to_string();
        assert_eq!(name("/home/me/My Shop_2"), "my-shop-2");
        assert_eq!(name("/"), "shop");
        assert_eq!(name("/x/…"), "shop");
    }
}
