//! What every store must do, whatever it is made of. The cases know the port only; below, each runs on SQLite.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]

mod support;

/// The cases: `first` and `second` are two handles on the state of one environment, `other` on another environment of
/// the same application.
struct Handles<'a> {
    first: &'a dyn cutover_ports::Store,
    second: &'a dyn cutover_ports::Store,
    other: &'a dyn cutover_ports::Store,
}

macro_rules! on_sqlite {
    ($($case:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let world = support::World::new();
                let (first, second) = (world.open(), world.open());
                let other = world.open_in("staging");
                cases::$case(Handles { first: &first, second: &second, other: &other }).await;
            }
        )+
    };
}

on_sqlite!(
    a_lease_has_one_holder,
    a_lease_that_ran_out_is_taken_over_and_the_old_holder_told,
    a_dead_holder_is_replaced_at_once,
    generations_only_grow,
    environments_have_their_own_lease,
    of_many_that_want_the_lease_one_gets_it,
    a_journal_reads_back_in_order,
    a_plan_and_a_release_read_back,
    an_append_compares_the_journal_s_place,
    older_generations_are_refused,
    another_store_s_lease_is_refused,
    without_the_lease_only_requests_are_written,
    one_upgrade_at_a_time,
    an_upgrade_that_is_over_stays_as_it_is,
    what_is_unknown_is_said,
    a_promotion_comes_with_its_event_or_not_at_all,
    what_was_stable_is_listed_once_each,
    racing_writers_leave_no_gap_and_lose_nothing,
);

mod cases {
    use cutover_model::{Command, Fence, Generation, StoreId, UpgradePhase};
    use cutover_ports::{LeaseError, Promotion, StoreError};

    use super::Handles;
    use super::support::*;

    pub(super) async fn a_lease_has_one_holder(on: Handles<'_>) {
        let lease = on
            .first
            .acquire(&holder(1), at(0), LENGTH, &|_| false)
            .await
            .unwrap();
        assert_eq!(lease.until, LENGTH.after(at(0)));
        assert_eq!(lease.fence.store, *on.first.id());
        let refused = on.second.acquire(&holder(2), at(29), LENGTH, &|_| false).await;
        let held = LeaseError::Held {
            holder: holder(1),
            until: LENGTH.after(at(0)),
        };
        assert_eq!(refused, Err(held));

        let renewed = on.first.renew(&lease.fence, at(20), LENGTH).await.unwrap();
        assert_eq!(
            (renewed.until, &renewed.fence),
            (LENGTH.after(at(20)), &lease.fence)
        );
        assert!(
            on.second
                .acquire(&holder(2), at(40), LENGTH, &|_| false)
                .await
                .is_err()
        );
        // The same holder may begin anew.
        let again = on
            .second
            .acquire(&holder(1), at(41), LENGTH, &|_| false)
            .await
            .unwrap();
        assert!(again.fence.generation > lease.fence.generation);
    }

    pub(super) async fn a_lease_that_ran_out_is_taken_over_and_the_old_holder_told(on: Handles<'_>) {
        let old = on
            .first
            .acquire(&holder(1), at(0), LENGTH, &|_| false)
            .await
            .unwrap();
        // Nobody took it: a late renewal is one.
        on.first.renew(&old.fence, at(31), LENGTH).await.unwrap();
        let new = on
            .second
            .acquire(&holder(2), at(61), LENGTH, &|_| false)
            .await
            .unwrap();
        assert_eq!(new.fence.generation, Generation(2));
        let lost = LeaseError::Lost(Generation(2));
        assert_eq!(
            on.first.renew(&old.fence, at(62), LENGTH).await,
            Err(lost.clone())
        );
        assert_eq!(on.first.release_lease(&old.fence).await, Err(lost));
        on.second.renew(&new.fence, at(62), LENGTH).await.unwrap();
    }

    pub(super) async fn a_dead_holder_is_replaced_at_once(on: Handles<'_>) {
        on.first
            .acquire(&holder(1), at(0), LENGTH, &|_| false)
            .await
            .unwrap();
        let lease = on
            .second
            .acquire(&holder(2), at(1), LENGTH, &|who| who.pid == 1)
            .await
            .unwrap();
        assert_eq!(lease.fence.generation, Generation(2));
    }

    pub(super) async fn generations_only_grow(on: Handles<'_>) {
        for round in 1..=3 {
            let lease = on
                .first
                .acquire(&holder(round), at(0), LENGTH, &|_| false)
                .await
                .unwrap();
            assert_eq!(lease.fence.generation, Generation(u64::from(round)));
            on.first.release_lease(&lease.fence).await.unwrap();
            // Given back is given back.
            let renewed = on.first.renew(&lease.fence, at(1), LENGTH).await;
            assert_eq!(renewed, Err(LeaseError::Lost(lease.fence.generation)));
        }
    }

    pub(super) async fn environments_have_their_own_lease(on: Handles<'_>) {
        on.first
            .acquire(&holder(1), at(0), LENGTH, &|_| false)
            .await
            .unwrap();
        let other = on
            .other
            .acquire(&holder(2), at(0), LENGTH, &|_| false)
            .await
            .unwrap();
        assert_eq!(other.fence.generation, Generation(1));
    }

    pub(super) async fn of_many_that_want_the_lease_one_gets_it(on: Handles<'_>) {
        let alive = |_: &cutover_ports::Holder| false;
        let tries = (1..=16).map(|pid| {
            let store = if pid % 2 == 0 { on.first } else { on.second };
            let holder = holder(pid);
            async move { store.acquire(&holder, at(0), LENGTH, &alive).await }
        });
        let mut got = 0;
        for result in join_all(tries.collect()).await {
            match result {
                Ok(lease) => {
                    got += 1;
                    assert_eq!(lease.fence.generation, Generation(1));
                }
                Err(LeaseError::Held { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(got, 1);
    }

    pub(super) async fn a_journal_reads_back_in_order(on: Handles<'_>) {
        let lease = take(on.first).await;
        let plan = plan(Some("1.0.0"), "1.1.0");
        let first = on
            .first
            .create(&lease.fence, &id("u1"), &plan, &created(&plan), at(1))
            .await
            .unwrap();
        assert_eq!((first.seq, first.at, &first.event), (1, at(1), &created(&plan)));
        let mut written = vec![first];
        for step in 1..=12 {
            let events = [intent(step), done(step)];
            let expected = written.len() as u64;
            let more = on
                .first
                .append(
                    Some(&lease.fence),
                    &id("u1"),
                    write(expected, &events, UpgradePhase::Running),
                )
                .await
                .unwrap();
            assert_eq!(more.len(), 2);
            written.extend(more);
        }
        assert_eq!(on.second.records(&id("u1"), 0).await.unwrap(), written);
        assert_eq!(on.second.records(&id("u1"), 7).await.unwrap(), written[7..]);
        assert_eq!(on.second.records(&id("u1"), 25).await.unwrap(), []);
        assert_eq!(on.second.records(&id("u1"), 99).await.unwrap(), []);
        let heads = on.second.upgrades(10).await.unwrap();
        assert_eq!(heads.len(), 1);
        assert_eq!(heads[0].id, id("u1"));
        assert_eq!(heads[0].from, Some(version("1.0.0")));
        assert_eq!(heads[0].to, version("1.1.0"));
        assert_eq!(heads[0].phase, UpgradePhase::Running);
        assert_eq!((heads[0].created_at, heads[0].updated_at), (at(1), at(60)));
        assert_eq!(on.other.upgrades(10).await.unwrap(), []);
    }

    pub(super) async fn a_plan_and_a_release_read_back(on: Handles<'_>) {
        let lease = take(on.first).await;
        let release = release("1.1.0");
        assert_eq!(on.second.release(&release.id).await.unwrap(), None);
        for _ in 0..2 {
            on.first.put_release(&release).await.unwrap();
        }
        assert_eq!(on.second.release(&release.id).await.unwrap(), Some(release));
        let plan = create(on.first, &lease, "u1", "1.1.0").await;
        assert_eq!(on.second.plan(&id("u1")).await.unwrap(), Some(plan));
        assert_eq!(on.second.plan(&id("u2")).await.unwrap(), None);
    }

    pub(super) async fn an_append_compares_the_journal_s_place(on: Handles<'_>) {
        let lease = take(on.first).await;
        create(on.first, &lease, "u1", "1.1.0").await;
        for expected in [0, 2, 7] {
            let events = [intent(1)];
            let refused = on
                .second
                .append(
                    Some(&lease.fence),
                    &id("u1"),
                    write(expected, &events, UpgradePhase::Running),
                )
                .await;
            assert_eq!(refused, Err(StoreError::Conflict { expected, found: 1 }));
        }
        assert_eq!(on.first.records(&id("u1"), 0).await.unwrap().len(), 1);
        assert_eq!(
            on.first.upgrades(1).await.unwrap()[0].phase,
            UpgradePhase::Pending
        );
    }

    pub(super) async fn older_generations_are_refused(on: Handles<'_>) {
        let old = take(on.first).await;
        create(on.first, &old, "u1", "1.1.0").await;
        let new = take(on.second).await;
        let fenced = StoreError::Fenced {
            own: Generation(1),
            found: Generation(2),
        };
        let events = [intent(1)];
        let write = write(1, &events, UpgradePhase::Running);
        let refused = on.first.append(Some(&old.fence), &id("u1"), write).await;
        assert_eq!(refused, Err(fenced.clone()));
        let plan = plan(None, "1.2.0");
        let refused = on
            .first
            .create(&old.fence, &id("u2"), &plan, &created(&plan), at(2))
            .await;
        assert_eq!(refused, Err(fenced));
        on.second
            .append(Some(&new.fence), &id("u1"), write)
            .await
            .unwrap();
        // Nor is one accepted that was never given.
        let made_up = Fence {
            generation: Generation(9),
            ..new.fence
        };
        assert!(on.second.append(Some(&made_up), &id("u1"), write).await.is_err());
    }

    pub(super) async fn another_store_s_lease_is_refused(on: Handles<'_>) {
        let lease = take(on.first).await;
        create(on.first, &lease, "u1", "1.1.0").await;
        let foreign = Fence {
            store: StoreId::new("store-2"),
            ..lease.fence
        };
        let events = [intent(1)];
        let refused = on
            .first
            .append(
                Some(&foreign),
                &id("u1"),
                write(1, &events, UpgradePhase::Running),
            )
            .await;
        assert_eq!(code(refused), "store.other");
        assert!(on.first.renew(&foreign, at(1), LENGTH).await.is_err());
        assert!(on.first.release_lease(&foreign).await.is_err());
    }

    pub(super) async fn without_the_lease_only_requests_are_written(on: Handles<'_>) {
        let lease = take(on.first).await;
        create(on.first, &lease, "u1", "1.1.0").await;
        let events = [requested(Command::Pause)];
        let records = on
            .second
            .append(None, &id("u1"), write(1, &events, UpgradePhase::Running))
            .await
            .unwrap();
        assert_eq!(records[0].seq, 2);
        let events = [requested(Command::Abort), intent(1)];
        let refused = on
            .second
            .append(None, &id("u1"), write(2, &events, UpgradePhase::Running))
            .await;
        assert_eq!(code(refused), "store.unfenced");
        let events = [requested(Command::Abort)];
        let refused = on
            .second
            .append(None, &id("u1"), write(2, &events, UpgradePhase::Failed))
            .await;
        assert_eq!(code(refused), "store.unfenced");
        // The controller that decided on what it had read before notices.
        let events = [intent(1)];
        let conflict = on
            .first
            .append(
                Some(&lease.fence),
                &id("u1"),
                write(1, &events, UpgradePhase::Running),
            )
            .await;
        assert_eq!(
            conflict,
            Err(StoreError::Conflict {
                expected: 1,
                found: 2
            })
        );
    }

    pub(super) async fn one_upgrade_at_a_time(on: Handles<'_>) {
        let lease = take(on.first).await;
        create(on.first, &lease, "u1", "1.1.0").await;
        let next = plan(None, "1.2.0");
        for phase in [UpgradePhase::Running, UpgradePhase::Stuck] {
            let seq = on.first.records(&id("u1"), 0).await.unwrap().len() as u64;
            let events = [intent(1)];
            on.first
                .append(Some(&lease.fence), &id("u1"), write(seq, &events, phase))
                .await
                .unwrap();
            let refused = on
                .first
                .create(&lease.fence, &id("u2"), &next, &created(&next), at(2))
                .await;
            assert_eq!(code(refused), "upgrade.in-progress");
        }
        // Another environment is another matter.
        let other = take(on.other).await;
        create(on.other, &other, "u3", "1.2.0").await;

        let events = [finished(UpgradePhase::Aborted)];
        on.first
            .append(
                Some(&lease.fence),
                &id("u1"),
                write(3, &events, UpgradePhase::Aborted),
            )
            .await
            .unwrap();
        create(on.first, &lease, "u2", "1.2.0").await;
        let ids: Vec<_> = on
            .first
            .upgrades(9)
            .await
            .unwrap()
            .into_iter()
            .map(|head| head.id)
            .collect();
        assert_eq!(ids, [id("u2"), id("u1")]);
        assert_eq!(on.first.upgrades(1).await.unwrap().len(), 1);
    }

    pub(super) async fn an_upgrade_that_is_over_stays_as_it_is(on: Handles<'_>) {
        let lease = take(on.first).await;
        create(on.first, &lease, "u1", "1.1.0").await;
        let events = [finished(UpgradePhase::Succeeded)];
        on.first
            .append(
                Some(&lease.fence),
                &id("u1"),
                write(1, &events, UpgradePhase::Succeeded),
            )
            .await
            .unwrap();
        let events = [requested(Command::Abort)];
        let late = on
            .second
            .append(None, &id("u1"), write(2, &events, UpgradePhase::Running))
            .await;
        assert_eq!(code(late), "upgrade.over");
        let events = [intent(1)];
        let late = on
            .first
            .append(
                Some(&lease.fence),
                &id("u1"),
                write(2, &events, UpgradePhase::Running),
            )
            .await;
        assert_eq!(code(late), "upgrade.over");
        assert_eq!(on.first.records(&id("u1"), 0).await.unwrap().len(), 2);
    }

    pub(super) async fn what_is_unknown_is_said(on: Handles<'_>) {
        let lease = take(on.first).await;
        assert_eq!(code(on.first.records(&id("u9"), 0).await), "upgrade.unknown");
        let events = [intent(1)];
        let refused = on
            .first
            .append(
                Some(&lease.fence),
                &id("u9"),
                write(1, &events, UpgradePhase::Running),
            )
            .await;
        assert_eq!(code(refused), "upgrade.unknown");
        // Nor is an upgrade known in another environment than its own.
        create(on.first, &lease, "u1", "1.1.0").await;
        assert_eq!(code(on.other.records(&id("u1"), 0).await), "upgrade.unknown");
        assert_eq!(on.other.plan(&id("u1")).await.unwrap(), None);
        assert_eq!(on.first.stable().await.unwrap(), None);
    }

    pub(super) async fn a_promotion_comes_with_its_event_or_not_at_all(on: Handles<'_>) {
        let lease = take(on.first).await;
        create(on.first, &lease, "u1", "1.1.0").await;
        let promotion = Promotion {
            release: release("1.1.0").id,
            version: version("1.1.0"),
        };
        let events = [done(9)];
        let promote = |expected| cutover_ports::Append {
            promotion: Some(&promotion),
            ..write(expected, &events, UpgradePhase::Soaking)
        };
        assert!(
            on.first
                .append(Some(&lease.fence), &id("u1"), promote(5))
                .await
                .is_err()
        );
        assert_eq!(on.second.stable().await.unwrap(), None);
        assert_eq!(
            code(on.first.append(None, &id("u1"), promote(1)).await),
            "store.unfenced"
        );
        assert_eq!(on.second.stable().await.unwrap(), None);

        on.first
            .append(Some(&lease.fence), &id("u1"), promote(1))
            .await
            .unwrap();
        let stable = on.second.stable().await.unwrap().unwrap();
        assert_eq!(stable.release, promotion.release);
        assert_eq!(stable.version, version("1.1.0"));
        assert_eq!((stable.since, stable.upgrade), (at(60), id("u1")));
        assert_eq!(on.other.stable().await.unwrap(), None);
    }

    pub(super) async fn what_was_stable_is_listed_once_each(on: Handles<'_>) {
        let lease = take(on.first).await;
        for (name, to) in [("u1", "1.0.0"), ("u2", "1.1.0"), ("u3", "1.0.0")] {
            create(on.first, &lease, name, to).await;
            let promotion = Promotion {
                release: release(to).id,
                version: version(to),
            };
            let events = [finished(UpgradePhase::Succeeded)];
            let append = cutover_ports::Append {
                promotion: Some(&promotion),
                ..write(1, &events, UpgradePhase::Succeeded)
            };
            on.first
                .append(Some(&lease.fence), &id(name), append)
                .await
                .unwrap();
        }
        let listed: Vec<_> = on
            .second
            .succeeded()
            .await
            .unwrap()
            .into_iter()
            .map(|stable| (stable.version, stable.upgrade))
            .collect();
        assert_eq!(
            listed,
            [(version("1.0.0"), id("u3")), (version("1.1.0"), id("u2"))]
        );
        assert_eq!(on.second.stable().await.unwrap().unwrap().upgrade, id("u3"));
    }

    pub(super) async fn racing_writers_leave_no_gap_and_lose_nothing(on: Handles<'_>) {
        let lease = take(on.first).await;
        create(on.first, &lease, "u1", "1.1.0").await;
        let writers = [
            (on.first, Some(&lease.fence)),
            (on.second, None),
            (on.second, Some(&lease.fence)),
        ];
        let each = 15;
        let races = writers.map(|(store, fence)| async move {
            let event = if fence.is_some() {
                intent(1)
            } else {
                requested(Command::Retry)
            };
            let events = [event];
            let (mut expected, mut seqs) = (1, Vec::new());
            while seqs.len() < each {
                match store
                    .append(fence, &id("u1"), write(expected, &events, UpgradePhase::Running))
                    .await
                {
                    Ok(records) => {
                        expected = records[0].seq;
                        seqs.push(expected);
                    }
                    Err(StoreError::Conflict { found, .. }) => expected = found,
                    Err(other) => panic!("{other}"),
                }
            }
            seqs
        });
        let mut all: Vec<u64> = join_all(races.into()).await.into_iter().flatten().collect();
        all.sort_unstable();
        let count = 3 * each as u64;
        assert_eq!(all, (2..=count + 1).collect::<Vec<_>>());
        assert_eq!(
            on.first.records(&id("u1"), 0).await.unwrap().len() as u64,
            count + 1
        );
    }

    /// All of them at once, in order.
    async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
        let mut running: Vec<_> = futures
            .into_iter()
            .map(|future| (Box::pin(future), None))
            .collect();
        std::future::poll_fn(|context| {
            for (future, output) in &mut running {
                if output.is_none()
                    && let std::task::Poll::Ready(done) = future.as_mut().poll(context)
                {
                    *output = Some(done);
                }
            }
            if running.iter().all(|(_, output)| output.is_some()) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        running.into_iter().filter_map(|(_, output)| output).collect()
    }
}
