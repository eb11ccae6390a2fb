//! How costs grow, and how they may.

use anyhow::{Context, Result, ensure};

use super::figures::Figures;
use super::report::Table;

/// What is measured at several places of a scale.
pub struct Series {
    /// What it is, for people.
    pub title: &'static str,
    /// What the scale is.
    pub scale: &'static str,
    /// Where on the scale, and how many instructions.
    pub points: Vec<(u32, f64)>,
    law: Law,
}

/// How costs may grow.
#[derive(Clone, Copy)]
enum Law {
    /// Each step costs as much as any other, but for a part of it.
    Linear(f64),
    /// All cost the same, but for a part of it.
    Flat(f64),
    /// None costs more than the one before it, but for a part of it.
    Falling(f64),
}

/// What the growth programs say: with PAE, without it, and with PAE on more and more CPUs.
pub struct Growth {
    /// On one CPU, with PAE.
    pub pae: Figures,
    /// On one CPU, without PAE.
    pub non_pae: Figures,
    /// On 1, 2, 3, 4 CPUs.
    pub cpus: Vec<Figures>,
}

impl Growth {
    /// All series.
    pub fn series(&self) -> Result<Vec<Series>> {
        let (nested, entries, cpus) = ("nested", "entries", "CPUs");
        let exact = |title, scale, figures: &Figures, name: &str, points: &[u32], law| -> Result<Series> {
            let point = |&at: &u32| {
                let cost = figures.exact(&format!("{name}/{at}"));
                cost.map(|cost| (at, cost)).with_context(|| format!("{name}/{at} has not been measured"))
            };
            Ok(Series { title, scale, points: points.iter().map(point).collect::<Result<_>>()?, law })
        };
        let on_cpus = |title, name: &str, law| -> Result<Series> {
            let point = |(index, figures): (usize, &Figures)| {
                let cost = figures.timed(&format!("{name}/{}", index + 1));
                cost.map(|cost| (index as u32 + 1, cost)).with_context(|| format!("{name} has not been measured"))
            };
            Ok(Series {
                title,
                scale: cpus,
                points: self.cpus.iter().enumerate().map(point).collect::<Result<_>>()?,
                law,
            })
        };
        let (pae, non_pae) = (&self.pae, &self.non_pae);
        let (few, many) = ([16, 32, 64, 128, 256, 512], [16, 32, 64, 128, 256, 512, 1024]);
        Ok(vec![
            exact("slots of the task", nested, pae, "slots", &[1, 2, 3, 4, 5], Law::Linear(0.5))?,
            exact(
                "and then slots of code with interrupts off",
                nested,
                pae,
                "slots_irqs_off",
                &[6, 7, 8, 9, 10],
                Law::Linear(0.5),
            )?,
            exact("local maps", nested, pae, "local", &[1, 2, 3, 4, 5, 6, 7, 8], Law::Linear(0.5))?,
            exact("`kmap`, still mapped, PAE", entries, pae, "pool_hit", &few, Law::Flat(0.1))?,
            exact("`kmap`, mapped anew, PAE", entries, pae, "pool_remap", &few, Law::Falling(0.05))?,
            exact("`kmap`, still mapped, without PAE", entries, non_pae, "pool_hit", &many, Law::Flat(0.1))?,
            exact("`kmap`, mapped anew, without PAE", entries, non_pae, "pool_remap", &many, Law::Falling(0.05))?,
            on_cpus("pair, on all CPUs at once", "cpus_pair", Law::Flat(0.1))?,
            on_cpus("`kmap`, still mapped, on all CPUs at once", "cpus_kmap_hit", Law::Flat(0.1))?,
            on_cpus("`kmap`, mapped anew, on all CPUs at once", "cpus_kmap_remap", Law::Flat(0.15))?,
        ])
    }
}

impl Series {
    /// # Errors
    ///
    /// If it grows as it must not.
    pub fn check(&self) -> Result<()> {
        let costs: Vec<f64> = self.points.iter().map(|point| point.1).collect();
        let within = |values: &[f64], part: f64| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            least > 0.0 && values.iter().all(|&value| value <= least * (1.0 + part))
        };
        let right = match self.law {
            Law::Linear(part) => {
                let steps: Vec<f64> = costs.windows(2).map(|pair| pair[1] - pair[0]).collect();
                within(&steps, part)
            }
            Law::Flat(part) => within(&costs, part),
            Law::Falling(part) => costs.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + part)),
        };
        ensure!(right, "{}: costs may grow {}, and are {:?}", self.title, self.law(), self.points);
        Ok(())
    }

    /// In words.
    fn law(&self) -> String {
        let percent = |part: f64| format!("{:.0} %", part * 100.0);
        match self.law {
            Law::Linear(part) => format!("linearly: steps within {}", percent(part)),
            Law::Flat(part) => format!("not at all: within {}", percent(part)),
            Law::Falling(part) => format!("never: no more than {} above the one before", percent(part)),
        }
    }
}

/// One table for each scale.
pub fn tables(series: &[Series]) -> Vec<Table> {
    let mut tables = Vec::new();
    for scale in ["nested", "entries", "CPUs"] {
        let of_scale: Vec<&Series> = series.iter().filter(|series| series.scale == scale).collect();
        let mut all: Vec<u32> = of_scale.iter().flat_map(|series| series.points.iter().map(|point| point.0)).collect();
        all.sort_unstable();
        all.dedup();
        let numbers: Vec<String> = all.iter().map(u32::to_string).collect();
        let mut header = vec!["instructions"];
        header.extend(numbers.iter().map(String::as_str));
        header.push("may grow");
        let mut table = Table::new(&format!("How costs grow: {scale}"), &header);
        for series in of_scale {
            let cost = |at: &u32| {
                let point = series.points.iter().find(|point| point.0 == *at);
                point.map_or(String::new(), |point| format!("{:.1}", point.1).trim_end_matches(".0").to_owned())
            };
            let mut row = vec![series.title.to_owned()];
            row.extend(all.iter().map(cost));
            row.push(series.law());
            table.push(row);
        }
        tables.push(table);
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(costs: &[f64], law: Law) -> Series {
        Series { title: "maps", scale: "nested", points: (1..).zip(costs.iter().copied()).collect(), law }
    }

    #[test]
    fn what_grows_otherwise_is_an_error() {
        assert!(series(&[20.0, 50.0, 80.0], Law::Linear(0.1)).check().is_ok());
        assert!(series(&[20.0, 50.0, 100.0], Law::Linear(0.1)).check().is_err());
        assert!(series(&[20.0, 10.0, 0.0], Law::Linear(0.1)).check().is_err());
        assert!(series(&[20.0, 21.0, 20.0], Law::Flat(0.1)).check().is_ok());
        assert!(series(&[20.0, 23.0, 20.0], Law::Flat(0.1)).check().is_err());
        assert!(series(&[90.0, 60.0, 60.5], Law::Falling(0.02)).check().is_ok());
        assert!(series(&[90.0, 60.0, 70.0], Law::Falling(0.02)).check().is_err());
    }
}
