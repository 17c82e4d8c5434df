-- Reports as they came, what is known of each device, and the functions that take a batch in and drop what is old.
-- PostgreSQL 14 or later (multiranges). Every statement runs with search_path = office, in one transaction a file.

create table device (
    id int generated always as identity primary key,
    name text not null unique,
    heard timestamptz,                       -- the last time that it said anything itself
    session bigint, step smallint, presence text, presence_since timestamptz, version text,
    -- the newest m/traffic, by boot and number
    traffic_boot bigint, traffic_seq bigint, traffic_at timestamptz,
    plan_state text, shaping_bps bigint, used_bytes bigint, remaining_bytes bigint, agent_bytes bigint, slow_since timestamptz,
    -- twin/plan
    rev bigint, limit_bytes bigint, period_end date,
    meter text, meter_at timestamptz, meter_bytes bigint, meter_difference bigint, meter_correction bigint  -- plan.reconcile
) with (fillfactor = 70);                    -- rewritten with every report: leave room on the page

-- What the operator calls a group of homes (a commune, a landlord). Written by `modem-support office --labels`.
create table label (device text primary key, label text not null);

-- One boot of one device: which numbers came, which will never come, and where its seconds since boot lie in time.
create table boot (
    id bigint generated always as identity primary key,
    device int not null references device on delete cascade,
    boot text not null,
    heard timestamptz not null default now(),
    arrived int8multirange not null default '{}',
    lost int8multirange not null default '{}',
    measured bigint not null default 0,      -- highest number of the lane of measurements, and of the other lane
    told bigint not null default 0,
    started timestamptz,                     -- instant of up = 0, by a clock that could be believed
    unique (device, boot)
) with (fillfactor = 70);

-- The key is (device, boot, seq). `said` stands in it because a partitioned table asks for it; it is part of what a
-- report says, so a report that comes again has the same.
create table report (
    device int not null,
    boot text not null,
    seq bigint not null,
    said timestamptz not null,               -- as the device believed
    received timestamptz not null default now(),
    up bigint not null,
    clk text not null,
    topic text not null,
    body jsonb not null,
    primary key (device, boot, seq, said)
) partition by range (said);
create table report_other partition of report default;  -- clocks that were wrong by months

create table alarm (
    device int not null references device on delete cascade,
    name text not null,
    boot bigint not null, seq bigint not null,
    raised boolean not null,
    since timestamptz not null,
    primary key (device, name)
);

-- Kept longer than the reports: what a home used in a period, and what reporting cost on a day.
create table period (
    device int not null references device on delete cascade,
    start date not null,
    used_bytes bigint, received_bytes bigint, sent_bytes bigint,
    primary key (device, start)
) with (fillfactor = 70);
create table cost (
    day date not null,
    device int not null references device on delete cascade,
    agent_bytes bigint not null,
    primary key (day, device)
) with (fillfactor = 70);

create table refused (
    id bigint generated always as identity primary key,
    received timestamptz not null default now(),
    topic text not null, reason text not null, payload bytea not null
);

-- Take in what lies in the temporary tables of the session (database.py), whatever came before or comes twice. Several
-- processes do so one after another: they would wait for the same rows anyway, and never wait for each other in a circle.
create function take() returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtext('office.write'));
    insert into device (name)
        select name from (select device as name from stage_report union select device from stage_presence union select device from stage_plan
            union select device from stage_lost) n
        where not exists (select from device d where d.name = n.name);

    insert into boot as b (device, boot, arrived, measured, told, started)
        select d.id, c.boot, range_agg(int8range(c.seq, c.seq, '[]')),
            coalesce(max(c.seq) filter (where c.topic like 'm/%'), 0),
            coalesce(max(c.seq) filter (where c.topic not like 'm/%'), 0),
            min(c.said - c.up * interval '1 second') filter (where c.clk in ('sync', 'nitz'))
        from stage_report c join device d on d.name = c.device group by d.id, c.boot order by min(c.place)
        on conflict (device, boot) do update set
            heard = now(), arrived = b.arrived + excluded.arrived, started = coalesce(b.started, excluded.started),
            measured = greatest(b.measured, excluded.measured), told = greatest(b.told, excluded.told);
    insert into boot as b (device, boot, lost)
        select d.id, m.boot, range_agg(int8range(m.first, m.last, '[]'))
        from stage_lost m join device d on d.name = m.device group by d.id, m.boot
        on conflict (device, boot) do update set lost = b.lost + excluded.lost;

    insert into report (device, boot, seq, said, up, clk, topic, body)
        select d.id, c.boot, c.seq, c.said, c.up, c.clk, c.topic, c.body
        from stage_report c join device d on d.name = c.device order by d.id, c.boot, c.seq
        on conflict do nothing;

    perform take_traffic();
    update device d set heard = now()
        from (select device from stage_report where live union select device from stage_presence where live) h
        where d.name = h.device and d.heard is distinct from now();  -- take_traffic has written most of them
    perform take_alarms();
    update device d set session = p.session, step = p.step, presence = p.state, version = p.version,
            presence_since = case when d.presence = p.state then d.presence_since else now() end
        from (select distinct on (device) * from stage_presence order by device, session desc, step desc) p
        where d.name = p.device and (d.session is null or (p.session, p.step) >= (d.session, d.step));
    update device d set rev = p.rev, limit_bytes = p.limit_bytes, period_end = p.period_end, meter = p.meter,
            meter_at = p.meter_at, meter_bytes = p.meter_bytes, meter_difference = p.meter_difference,
            meter_correction = p.meter_correction
        from (select distinct on (device) * from stage_plan order by device, rev desc) p
        where d.name = p.device and (d.rev is null or p.rev >= d.rev);
end $$;

create function take_traffic() returns void language plpgsql as $$
begin
    insert into stage_traffic
        select d.id, b.id, c.seq, c.live, c.clk in ('sync', 'nitz') or b.started is not null,
            case when c.clk in ('sync', 'nitz') then c.said else coalesce(b.started + c.up * interval '1 second', now()) end,
            c.state, c.bps, c.start, c.used, c.remaining, c.received, c.sent, c.agent
        from stage_report c join device d on d.name = c.device join boot b on b.device = d.id and b.boot = c.boot
        where c.topic = 'm/traffic';
    update device d set traffic_boot = t.boot, traffic_seq = t.seq, traffic_at = t.at, plan_state = t.state,
            shaping_bps = t.bps, used_bytes = t.used, remaining_bytes = t.remaining, agent_bytes = t.agent,
            slow_since = case when t.bps >= 0 then coalesce(d.slow_since, t.slow_from) end,
            heard = case when t.live then now() else d.heard end
        from (select distinct on (device) *, min(at) filter (where bps >= 0) over (partition by device) as slow_from
            from stage_traffic order by device, boot desc, seq desc) t
        where d.id = t.device and (d.traffic_boot is null or (t.boot, t.seq) > (d.traffic_boot, d.traffic_seq));
    insert into period as p
        select device, start, max(used), max(received), max(sent) from stage_traffic where start is not null
        group by device, start
        on conflict (device, start) do update set used_bytes = greatest(p.used_bytes, excluded.used_bytes),
            received_bytes = greatest(p.received_bytes, excluded.received_bytes),
            sent_bytes = greatest(p.sent_bytes, excluded.sent_bytes);
    insert into cost as c
        select (at at time zone 'UTC')::date, device, max(agent) from stage_traffic where timed and agent is not null
        group by 1, 2
        on conflict (day, device) do update set agent_bytes = greatest(c.agent_bytes, excluded.agent_bytes);
end $$;

create function take_alarms() returns void language plpgsql as $$
begin
    insert into alarm as a
        select distinct on (d.id, c.topic) d.id, substr(c.topic, 3), b.id, c.seq, c.body ->> 'state' = 'raised',
            case when c.clk in ('sync', 'nitz') then c.said else coalesce(b.started + c.up * interval '1 second', now()) end
        from stage_report c join device d on d.name = c.device join boot b on b.device = d.id and b.boot = c.boot
        where c.topic like 'a/%' and c.body ->> 'state' in ('raised', 'cleared')
        order by d.id, c.topic, b.id desc, c.seq desc
        on conflict (device, name) do update set boot = excluded.boot, seq = excluded.seq, raised = excluded.raised,
            since = excluded.since
        where (excluded.boot, excluded.seq) > (a.boot, a.seq);
end $$;

-- Make the partitions of the months that are kept and of two to come; drop what is older than `months`.
create function keep(months int) returns void language plpgsql as $$
declare
    month date;
    oldest date := date_trunc('month', now() at time zone 'UTC')::date - make_interval(months => months);
    bounds text;
begin
    perform pg_advisory_xact_lock(hashtext('office.write'));
    for month in select generate_series(oldest, now() + interval '2 months', interval '1 month')::date loop
        continue when to_regclass('office.report_' || to_char(month, 'YYYY_MM')) is not null;
        execute format('create table report_%s (like report including all)', to_char(month, 'YYYY_MM'));
        bounds := format('said >= %L and said < %L', month || ' 00:00Z', (month + interval '1 month')::date || ' 00:00Z');
        execute format('with moved as (delete from report_other where %s returning *) insert into report_%s select * from moved',
            bounds, to_char(month, 'YYYY_MM'));
        execute format('alter table report attach partition report_%s for values from (%L) to (%L)',
            to_char(month, 'YYYY_MM'), month || ' 00:00Z', (month + interval '1 month')::date || ' 00:00Z');
    end loop;
    for bounds in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'office.report'::regclass and c.relname ~ '^report_\d{4}_\d\d$'
                and c.relname < 'report_' || to_char(oldest, 'YYYY_MM') loop
        execute format('drop table %I', bounds);
    end loop;
    delete from report_other where received < oldest;
    delete from boot where heard < oldest;
    delete from cost where day < oldest;
    delete from period where start < oldest;
    delete from device where coalesce(heard, presence_since, '-infinity') < oldest;
end $$;
