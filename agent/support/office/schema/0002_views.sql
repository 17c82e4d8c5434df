-- What is asked of a fleet. Each view reads what is known of devices and boots, none the reports themselves, except
-- `reports`, which is for one device or one hour.

create view reports as
    select d.name as device, r.boot, r.seq, r.topic, r.received, r.clk, r.said, r.up,
        case when r.clk in ('sync', 'nitz') then r.said else b.started + r.up * interval '1 second' end as at,  -- null: not to be known yet
        r.body
    from report r join device d on d.id = r.device left join boot b on b.device = r.device and b.boot = r.boot;

-- One row a home, also of one that has a label and was never heard of.
create view home as
    select coalesce(d.name, l.device) as device, coalesce(l.label, '') as label, d.id is not null as known,
        coalesce(d.presence, 'unknown') as presence, coalesce(d.presence, 'unknown') in ('online', 'stopping') as online,
        d.presence_since, d.heard, d.version, d.plan_state, d.shaping_bps >= 0 as slow, d.slow_since, d.shaping_bps,
        d.plan_state = 'Warned' as warned, d.used_bytes, d.remaining_bytes, d.limit_bytes, d.period_end, d.traffic_at,
        d.agent_bytes
    from device d full join label l on l.device = d.name;

create view presence as select device, label, presence, presence_since, version, heard from home;

create view usage as
    select d.name as device, p.start, p.used_bytes, p.received_bytes, p.sent_bytes from period p join device d on d.id = p.device;

create view slow as select device, label, plan_state, shaping_bps, slow_since from home where slow;

create view slow_share as
    select label, count(*) filter (where slow) as slow, count(*) as homes,
        round(100.0 * count(*) filter (where slow) / count(*), 1) as percent
    from home group by label;

create view silent as
    select device, label, presence, heard as silent_since, now() - heard as silent_for from home where not online or heard < now() - interval '12 hours';

-- The operator's newest count of a home (plan.reconcile) beside the device's own of that instant. `difference` is what the
-- operator counted more, null while the device's clock is not trusted; `correction` what `used_bytes` holds of it.
create view meter_difference as
    select d.name as device, coalesce(l.label, '') as label, d.meter as source, d.meter_at as as_of,
        d.meter_bytes as operator_bytes, d.meter_difference as difference_bytes,
        round(100.0 * d.meter_difference / nullif(d.meter_bytes, 0), 1) as percent, d.meter_correction as correction_bytes,
        coalesce(a.raised, false) as alarm
    from device d left join label l on l.device = d.name left join alarm a on a.device = d.id and a.name = 'meter-difference'
    where d.meter_bytes is not null;

create view alarms as
    select d.name as device, a.name, a.since from alarm a join device d on d.id = a.device where a.raised;

create view versions as select coalesce(version, '') as version, count(*) as homes from home group by 1;

create view reporting_cost as
    select day, count(*) as homes, sum(agent_bytes) as bytes, round(avg(agent_bytes)) as bytes_a_home, max(agent_bytes) as most
    from cost group by day;

-- Numbers up to the highest that came which did not come. `named` is what the device itself has given up (e/lost);
-- `open` what both lanes have passed and nobody has named: ask for a rebirth (agent/mqtt/README.md).
create view gaps as
    select d.name as device, b.boot, g.gap, g.gap * b.lost as named,
        (g.gap - b.lost) * int8multirange(int8range(1, least(b.measured, b.told), '[]')) as open, b.heard
    from boot b join device d on d.id = b.device
        cross join lateral (select int8multirange(int8range(1, greatest(b.measured, b.told), '[]')) - b.arrived as gap) g
    where not isempty(g.gap);

-- Numbers given up by the device that did not come by another way.
create view lost as
    select d.name as device, b.boot, b.lost - b.arrived as numbers
    from boot b join device d on d.id = b.device where not isempty(b.lost - b.arrived);

-- The columns stand in the order in which page.py reads them.
create view summary as
    select label, count(*) as homes, count(*) filter (where online) as online,
        count(*) filter (where known and not online) as out,
        min(presence_since) filter (where known and not online) as out_since,
        count(*) filter (where slow) as slow, min(slow_since) filter (where slow) as slow_since,
        count(*) filter (where warned) as warned, count(*) filter (where not known) as never_heard,
        round(avg(agent_bytes))::bigint as bytes_a_home
    from home group by label;
