/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plan -> actions, and what became of them -> records.
 *
 * Order of a round: polling goes down, what is not wanted any more is given back, shields, pins in
 * the plan's order, polling goes up. Polling goes up only where the live XML already shows the
 * thread alone on its core, that is one round after its pin: a thread that never sleeps on a
 * shared core would take half of it from everybody else.
 */
#include "daemon/manager.h"

#include "base/error.h"

typedef struct {
    const VqManager *manager;
    const VqPlan *plan;
    GHashTable *index;  /* of plan */
    GHashTable *pinned; /* set of VqPlaced: those that a move of the plan pins */
    VqCpuset *shield;   /* where unpinned vCPU and emulator threads may run; NULL: no shield */
    GPtrArray *down, *undo, *shields, *pins, *up; /* of VqAction */
} Work;

static VqPlaced *
placed_for(const Work *work, const char *domain, unsigned iothread)
{
    return vq_plan_index_find(work->index, domain, iothread);
}

/* Usable CPUs without the cores (SMT siblings included) that are dedicated; NULL if none is, or
 * if nothing would be left. */
static VqCpuset *
shield_of(const VqManager *manager, const VqPlan *plan)
{
    g_autoptr(VqCpuset) rest = vq_cpuset_copy(manager->topology->usable);
    unsigned before = vq_cpuset_count(rest);

    for (guint i = 0; manager->config->shield && i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);
        const VqCore *core = p->class == VQ_PLACEMENT_DEDICATED && p->cpu >= 0
                                 ? vq_topology_core_of(manager->topology, p->cpu)
                                 : NULL;

        if (core)
            vq_cpuset_subtract(rest, core->pus);
    }
    if (vq_cpuset_empty(rest) || vq_cpuset_count(rest) == before)
        return NULL;
    return g_steal_pointer(&rest);
}

static VqAction *
pin_action(const VqGuest *guest, VqTarget target, unsigned number, const VqCpuset *cpus,
           const char *reason)
{
    VqAction *action = vq_action_new(guest->seen->domain, target, number);

    action->cpus = vq_cpuset_copy(cpus);
    action->reason = g_strdup(reason);
    return action;
}

static void
add_undo(Work *work, const VqGuest *guest, const VqPinRecord *record, const char *reason)
{
    g_autoptr(VqCpuset) original = vq_cpuset_parse(record->original, NULL);

    /* CPUs may have gone offline since */
    if (original)
        vq_cpuset_intersect(original, work->manager->topology->usable);

    const VqCpuset *cpus =
        original && !vq_cpuset_empty(original) ? original : work->manager->topology->usable;
    VqAction *action = pin_action(guest, record->target, record->number, cpus, reason);

    action->undo = true;
    g_ptr_array_add(work->undo, action);
}

static const VqCpuset *
live_pin(const VqLive *live, VqTarget target, unsigned number)
{
    if (target == VQ_TARGET_EMULATOR)
        return live->emulator_pin;
    if (target == VQ_TARGET_IOTHREAD) {
        const VqLiveThread *thread = vq_live_thread(live, number);

        return thread ? thread->pin : NULL;
    }
    for (guint i = 0; i < live->vcpus->len; i++) {
        const VqLiveVcpu *vcpu = g_ptr_array_index(live->vcpus, i);

        if (vcpu->vcpu == number)
            return vcpu->pin;
    }
    return NULL;
}

/* One vCPU or the emulator thread. */
static void
shield_thread(Work *work, const VqGuest *guest, VqTarget target, unsigned number)
{
    const VqCpuset *pin = live_pin(guest->seen->live, target, number);

    if (vq_manager_pin_origin(work->manager, guest, target, number, pin) == VQ_PIN_HAND ||
        (pin && vq_cpuset_equal(pin, work->shield)))
        return;
    g_ptr_array_add(work->shields, pin_action(guest, target, number, work->shield,
                                              "kept off cores dedicated to I/O threads"));
}

/* <vcpu cpuset=> is the owner's word for all threads of the domain. */
static bool
wants_shield(const Work *work, const VqGuest *guest)
{
    return work->shield && vq_guest_is_managed(guest) && !guest->seen->live->default_cpus;
}

static void
shield_guest(Work *work, const VqGuest *guest)
{
    for (guint i = 0; i < guest->seen->live->vcpus->len; i++) {
        const VqLiveVcpu *vcpu = g_ptr_array_index(guest->seen->live->vcpus, i);

        shield_thread(work, guest, VQ_TARGET_VCPU, vcpu->vcpu);
    }
    shield_thread(work, guest, VQ_TARGET_EMULATOR, 0);
}

/* Everything recorded that is not wanted any more and still as we set it. */
static void
undo_pins(Work *work, const VqGuest *guest, const VqRecord *record)
{
    const char *reason = guest->off ? "handed back" : "no longer needed";

    for (guint i = 0; record && i < record->pins->len; i++) {
        const VqPinRecord *r = g_ptr_array_index(record->pins, i);
        const VqCpuset *pin = live_pin(guest->seen->live, r->target, r->number);
        bool wanted = r->target == VQ_TARGET_IOTHREAD
                          ? vq_guest_is_managed(guest) &&
                                placed_for(work, guest->seen->domain->name, r->number) != NULL
                          : wants_shield(work, guest);

        if (!wanted && pin && vq_pin_record_is_ours(r, pin))
            add_undo(work, guest, r, reason);
    }
}

static bool
policy_wants_polling(const VqDomain *domain, unsigned iothread)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        for (guint k = 0; device->policy && k < device->maps->len; k++) {
            const VqQueueMap *map = g_ptr_array_index(device->maps, k);

            if (map->iothread == iothread && device->policy->polling == VQ_POLLING_DEDICATED)
                return true;
        }
    }
    return false;
}

/* On a core of its own by plan, and there in fact. */
static bool
may_poll(const Work *work, const VqGuest *guest, const VqLiveThread *live)
{
    const VqDomain *domain = guest->seen->domain;
    const VqPlaced *p =
        vq_guest_is_managed(guest) ? placed_for(work, domain->name, live->iothread) : NULL;

    return p && p->class == VQ_PLACEMENT_DEDICATED && p->cpu >= 0 && !p->held && live->pin &&
           vq_cpuset_count(live->pin) == 1 && vq_cpuset_has(live->pin, p->cpu) &&
           policy_wants_polling(domain, live->iothread);
}

static bool
same_poll(VqPollValues a, VqPollValues b)
{
    return a.max_ns == b.max_ns && a.grow == b.grow && a.shrink == b.shrink;
}

/*
 * What to go back to, if the present polling is of our making. Nobody else lets it grow and shrink
 * as we do: without a record it is one that was lost, and polling without end where it is not
 * wanted any more would take half of somebody's core.
 */
static const VqPollValues *
poll_to_give_back(const Work *work, const VqPollRecord *record, const VqLiveThread *live)
{
    static const VqPollValues qemus_own = {.max_ns = VQ_POLL_QEMU_MAX_NS};

    const VqPollValues *ours = &work->manager->config->poll;
    bool looks_ours = live->poll.grow == ours->grow && live->poll.shrink == ours->shrink;

    if (!looks_ours && !(record && same_poll(live->poll, record->set)))
        return NULL;
    return record ? &record->original : &qemus_own;
}

static void
plan_polling(Work *work, const VqGuest *guest, const VqRecord *record, const VqLiveThread *live)
{
    const VqPollRecord *r = vq_record_poll(record, live->iothread);
    VqPollValues wanted = work->manager->config->poll;
    bool may = may_poll(work, guest, live);
    const VqPollValues *before = poll_to_give_back(work, r, live);
    bool untouched = !r || before || same_poll(live->poll, r->original);

    if (may ? !untouched || same_poll(live->poll, wanted) : !before)
        return;

    VqAction *action = vq_action_new(guest->seen->domain, VQ_TARGET_IOTHREAD, live->iothread);

    action->set_poll = true;
    action->poll = may ? wanted : *before;
    action->undo = !may;
    action->reason = g_strdup(may ? "polls on a core of its own" : "has no core of its own");
    g_ptr_array_add(may ? work->up : work->down, action);
}

static void
plan_guest(Work *work, const VqGuest *guest)
{
    const VqDomain *domain = guest->seen->domain;
    const VqRecord *record = vq_records_find(work->manager->records, domain->uuid, domain->id);

    undo_pins(work, guest, record);
    if (wants_shield(work, guest))
        shield_guest(work, guest);
    for (guint i = 0; i < guest->seen->live->threads->len; i++)
        plan_polling(work, guest, record, g_ptr_array_index(guest->seen->live->threads, i));
}

static void
plan_moves(Work *work)
{
    for (guint i = 0; i < work->plan->moves->len; i++) {
        const VqMove *move = g_ptr_array_index(work->plan->moves, i);
        const VqGuest *guest = vq_manager_find(work->manager, move->domain);
        VqPlaced *p = placed_for(work, move->domain, move->iothread);
        g_autoptr(VqCpuset) cpus = NULL;

        if (!guest || !p || p->held)
            continue; /* a reservation: its starter pins it */
        cpus = move->to >= 0 ? vq_cpuset_new_single(move->to) : vq_cpuset_parse(p->cpus, NULL);
        if (!cpus || vq_cpuset_empty(cpus))
            continue;
        g_ptr_array_add(work->pins,
                        pin_action(guest, VQ_TARGET_IOTHREAD, move->iothread, cpus, move->reason));
        g_hash_table_add(work->pinned, p);
    }
}

/* Threads that are where no move was needed but whose pin is missing or wider than planned. */
static void
repair_pins(Work *work)
{
    for (guint i = 0; i < work->plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(work->plan->placements, i);
        const VqGuest *guest = vq_manager_find(work->manager, p->domain);
        g_autoptr(VqCpuset) cpus = p->cpus ? vq_cpuset_parse(p->cpus, NULL) : NULL;
        const VqCpuset *pin =
            guest ? live_pin(guest->seen->live, VQ_TARGET_IOTHREAD, p->iothread) : NULL;

        if (!guest || p->held || !cpus || vq_cpuset_empty(cpus) ||
            (pin && vq_cpuset_equal(pin, cpus)) || g_hash_table_contains(work->pinned, p))
            continue;
        g_ptr_array_add(work->pins,
                        pin_action(guest, VQ_TARGET_IOTHREAD, p->iothread, cpus, p->reason));
    }
}

GPtrArray *
vq_manager_actions(const VqManager *manager, const VqPlan *plan)
{
    g_autoptr(VqCpuset) shield = shield_of(manager, plan);
    g_autoptr(GHashTable) index = vq_plan_index(plan);
    g_autoptr(GHashTable) pinned = g_hash_table_new(NULL, NULL);
    GDestroyNotify free_action = (GDestroyNotify)vq_action_free;
    GPtrArray *all = g_ptr_array_new_with_free_func(free_action);
    Work work = {.manager = manager,
                 .plan = plan,
                 .index = index,
                 .pinned = pinned,
                 .shield = shield,
                 .down = g_ptr_array_new(),
                 .undo = g_ptr_array_new(),
                 .shields = g_ptr_array_new(),
                 .pins = g_ptr_array_new(),
                 .up = g_ptr_array_new()};

    for (guint i = 0; i < manager->guests->len; i++)
        plan_guest(&work, g_ptr_array_index(manager->guests, i));
    plan_moves(&work);
    repair_pins(&work);
    g_ptr_array_extend_and_steal(all, work.down);
    g_ptr_array_extend_and_steal(all, work.undo);
    g_ptr_array_extend_and_steal(all, work.shields);
    g_ptr_array_extend_and_steal(all, work.pins);
    g_ptr_array_extend_and_steal(all, work.up);
    return all;
}

static void
replace_text(char **text, char *value)
{
    g_free(*text);
    *text = value;
}

static void
intend_pin(VqManager *manager, const VqGuest *guest, VqRecord *record, const VqAction *action)
{
    const VqLive *live = guest->seen->live;
    const VqCpuset *normal = live->default_cpus ? live->default_cpus : manager->topology->usable;
    const VqCpuset *now = live_pin(live, action->target, action->number);
    g_autofree char *original = vq_cpuset_format(normal);
    VqPinRecord *pin = vq_record_add_pin(record, action->target, action->number, original);

    /* released since it was taken over: what was there before does not come back */
    if (vq_manager_pin_origin(manager, guest, action->target, action->number, now) == VQ_PIN_FREE)
        replace_text(&pin->original, g_steal_pointer(&original));
    g_autofree char *cpus = vq_cpuset_format(action->cpus);

    vq_pin_record_add_pending(pin, cpus);
}

/* What an earlier round was about to set is in force, or will not be any more. */
static void
conclude_pending(VqRecord *record, const VqGuest *guest, const VqAction *action)
{
    VqPinRecord *pin = vq_record_pin(record, action->target, action->number);
    const VqCpuset *now = live_pin(guest->seen->live, action->target, action->number);

    if (!pin)
        return;
    if (now && vq_pin_record_is_ours(pin, now))
        replace_text(&pin->pinned, vq_cpuset_format(now));
    replace_text(&pin->pending, g_strdup(""));
}

void
vq_manager_intend(VqManager *manager, const GPtrArray *actions)
{
    for (guint i = 0; i < actions->len; i++) {
        const VqAction *action = g_ptr_array_index(actions, i);
        const VqGuest *guest = vq_manager_find(manager, action->uuid);
        VqRecord *record = vq_records_find(manager->records, action->uuid, action->id);

        if (guest && action->cpus)
            conclude_pending(record, guest, action);
    }
    for (guint i = 0; i < actions->len; i++) {
        const VqAction *action = g_ptr_array_index(actions, i);
        const VqGuest *guest = vq_manager_find(manager, action->uuid);

        if (!guest || action->undo)
            continue;

        VqRecord *record =
            vq_records_get(manager->records, action->uuid, action->domain, action->id);
        const VqLiveThread *live = vq_live_thread(guest->seen->live, action->number);

        if (action->cpus)
            intend_pin(manager, guest, record, action);
        if (action->set_poll && live)
            vq_record_add_poll(record, action->number, live->poll)->set = action->poll;
    }
}

/* What libvirt confirmed is what the live XML will say: an Admit before the next round sees it. */
static void
update_live(VqGuest *guest, const VqAction *action)
{
    VqLiveThread *live = (VqLiveThread *)vq_live_thread(guest->seen->live, action->number);

    if (action->target != VQ_TARGET_IOTHREAD || !live)
        return;
    if (action->set_poll)
        live->poll = action->poll;
    if (!action->cpus)
        return;
    vq_cpuset_free(live->pin);
    live->pin = vq_cpuset_copy(action->cpus);
}

static void
record_success(VqRecord *record, const VqAction *action)
{
    VqPinRecord *pin = vq_record_pin(record, action->target, action->number);

    if (action->undo && action->cpus)
        vq_record_remove_pin(record, action->target, action->number);
    else if (action->undo && action->set_poll)
        vq_record_remove_poll(record, action->number);
    else if (pin && action->cpus) {
        replace_text(&pin->pinned, vq_cpuset_format(action->cpus));
        vq_pin_record_remove_pending(pin, pin->pinned);
    }
}

/* A call that broke off may have been carried out: only a refusal by libvirt clears the intent. */
static void
record_failure(VqRecord *record, const VqAction *action)
{
    VqPinRecord *pin = vq_record_pin(record, action->target, action->number);

    if (pin && action->cpus && !g_error_matches(action->error, VQ_ERROR, VQ_ERROR_UNAVAILABLE)) {
        g_autofree char *cpus = vq_cpuset_format(action->cpus);

        vq_pin_record_remove_pending(pin, cpus);
    }
}

void
vq_manager_applied(VqManager *manager, const GPtrArray *actions)
{
    g_hash_table_remove_all(manager->failures);
    for (guint i = 0; i < actions->len; i++) {
        const VqAction *action = g_ptr_array_index(actions, i);
        VqRecord *record = vq_records_find(manager->records, action->uuid, action->id);
        VqGuest *guest = vq_manager_find(manager, action->uuid);

        if (!record || !guest)
            continue;
        if (action->error) {
            record_failure(record, action);
            if (!g_error_matches(action->error, VQ_ERROR, VQ_ERROR_NOT_FOUND))
                g_hash_table_replace(manager->failures, vq_action_object(action),
                                     g_strdup(action->error->message));
            continue;
        }
        record_success(record, action);
        update_live(guest, action);
    }
}
